"""``python -m tests.lab.benchmarks.forms FORM ORDER``: one run in a process of its own; prints its times as JSON."""

from __future__ import annotations

import asyncio
import json
import sys

from tests.lab.benchmarks.forms import fast_stream, ours
from tests.lab.benchmarks.forms.common import Order

_FORMS = {"ours": ours.run, "A": fast_stream.run_single, "B1": fast_stream.run_batched}

print(asyncio.run(_FORMS[sys.argv[1]](Order(**json.loads(sys.argv[2])))).report())
