"""``python -m deploy.tryout.sandbox.rest_api [migrate]``."""

from deploy.tryout.sandbox.command import main

main("deploy.tryout.sandbox.rest_api")
