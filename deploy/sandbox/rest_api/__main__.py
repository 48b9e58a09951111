"""``python -m deploy.sandbox.rest_api [migrate]``."""

from deploy.sandbox.command import main

main("deploy.sandbox.rest_api")
