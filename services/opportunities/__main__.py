"""``python -m services.opportunities [migrate]``."""

from services.chassis.process.command import main

main("services.opportunities")
