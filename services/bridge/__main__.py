"""``python -m services.bridge``: run the border; with ``migrate``, bring its database up to date and end."""

from services.chassis.process.command import main

main("services.bridge")
