"""``python -m services.adapters [migrate]``: one process per registry, for the seat in SHUANGCHENG_REGISTRY."""

from services.chassis.process.command import main

main("services.adapters")
