"""``python -m deploy.tryout.sandbox.kafka_native [migrate]``."""

from deploy.tryout.sandbox.command import main

main("deploy.tryout.sandbox.kafka_native")
