"""``python -m tests.support.checker``: take the snapshot, judge it, print the verdict. Status 0 green, 1 red, 2
environment."""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from deploy.addresses import forget_libpq_variables
from deploy.audit.gather import GatherError, gather
from deploy.audit.report import check
from deploy.web.complaints import show_what_cannot_be_shown
from tests.support.arguments import report_file


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.support.checker",
        description="Judge a run of the linkage from outside. After `shuangcheng demo --then` no option is needed: "
        "SHUANGCHENG_REPORT names the demo's JSON.",
    )
    parser.add_argument("--kafka", metavar="HOST:PORT", help="broker")
    parser.add_argument("--databases", metavar="JSON", help="addresses by database, as text or in a file")
    parser.add_argument("--json", metavar="FILE", type=report_file, help="write the verdict here")
    parser.add_argument("--save", metavar="FILE", type=Path, help="keep the snapshot here")
    parser.add_argument("--under-way", action="store_true", help="messages may still be on their way")
    parser.add_argument("--day-cap", metavar="MINUTES", type=int, default=480, help="of a person's day (480)")
    parser.add_argument("--canary", metavar="WORD", action="append", default=[], help="a planted word to look for")
    return parser.parse_args()


def _document(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text if text.lstrip().startswith("{") else Path(text).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise GatherError(f"cannot read {text[:200]}: {error}") from error
    if not isinstance(found, dict):
        raise GatherError(f"{text[:200]} is not a JSON object")
    return found


def _addresses(asked: argparse.Namespace) -> tuple[str, dict[str, str]]:
    reported = os.environ.get("SHUANGCHENG_REPORT")
    report = _document(reported) if reported else {}
    databases = _document(asked.databases) if asked.databases else report
    kafka = asked.kafka or report.get("broker", {}).get("address")
    dsns = databases.get("databases", databases)
    if not kafka or not dsns:
        raise GatherError("give --kafka and --databases, or name a demo's JSON in SHUANGCHENG_REPORT")
    return kafka, dsns


def main() -> int:
    """Run the command. Gives the exit status."""
    asked = _arguments()
    gc.disable()  # all data stay to the end: collecting would find nothing, and take as long as decoding
    started = time.perf_counter()
    try:
        world = asyncio.run(gather(*_addresses(asked)))
    except GatherError as error:
        print(f"checker: {error}", file=sys.stderr)
        return 2
    gathered = time.perf_counter() - started
    if asked.save:
        world.save(asked.save)
    report = check(world, drained=not asked.under_way, day_cap=asked.day_cap, canaries=asked.canary)
    print(f"snapshot taken in {gathered:.1f} s; {report.text()}")
    if asked.json:
        asked.json.write_text(json.dumps(report.document(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return 0 if report.green else 1


if __name__ == "__main__":
    forget_libpq_variables()
    show_what_cannot_be_shown()
    sys.exit(main())
