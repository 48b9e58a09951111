"""``python -m services.identity``: run the service; with ``migrate``, bring its database up to date and end."""

from services.chassis.process.command import main

main("services.identity")
