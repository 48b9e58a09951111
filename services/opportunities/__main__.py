"""``python -m services.opportunities [migrate]``."""

from services.chassis.command import main

main("services.opportunities")
