"""``python -m deploy.sandbox.kafka_native [migrate]``."""

from deploy.sandbox.command import main

main("deploy.sandbox.kafka_native")
