"""``python -m services.adapters [migrate]``: one process per registry, for the seat in SHUANGCHENG_REGISTRY."""

from services.adapters.service import build
from services.chassis.runtime import main

main("adapters", build)
