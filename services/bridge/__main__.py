"""``python -m services.bridge``: run the border; with ``migrate``, bring its database up to date and end."""

from services.bridge.service import build
from services.chassis.runtime import main

main("bridge", build)
