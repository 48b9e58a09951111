"""``python -m services.attendance`` runs the service; with ``migrate`` it brings the database up to date."""

from services.chassis.process.command import main

main("services.attendance")
