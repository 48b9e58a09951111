"""When Python's garbage collector runs in a process of a service."""

from __future__ import annotations

import os
import subprocess
import sys


def test_a_process_looks_for_cycles_seldom_from_its_very_beginning() -> None:
    """What a start makes is kept. Python's collector went through all of it time and again."""
    code = """
import gc
from services.chassis.process.command import main

try:
    main("services.identity")  # it has no settings
except SystemExit:
    print(gc.get_threshold())
"""
    bare = {name: value for name, value in os.environ.items() if not name.startswith("SHUANGCHENG_")}
    done = subprocess.run([sys.executable, "-c", code], env=bare, capture_output=True, text=True, check=True)
    assert done.stdout == "(100000, 50, 1000)\n"
