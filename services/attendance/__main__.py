"""``python -m services.attendance`` runs the service; with ``migrate`` it brings the database up to date."""

from services.attendance.service import build
from services.chassis.runtime import main

main("attendance", build)
