"""``python -m tests.lab.faults``: break the linkage on purpose, cell by cell. Status 0 green, 1 red, 2 environment."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
import time

from deploy.addresses import forget_libpq_variables
from deploy.operate.errors import LocalError
from deploy.web.complaints import show_what_cannot_be_shown
from tests.lab.faults import report, table
from tests.lab.faults.cell import Cell
from tests.lab.faults.running import run
from tests.lab.faults.site import site
from tests.support.arguments import report_file


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.lab.faults", description=__doc__)
    parser.add_argument("--json", type=report_file, metavar="FILE", help="write the report there")
    parser.add_argument("--only", action="append", default=[], metavar="ID", help="a cell, or all whose id begins so")
    parser.add_argument("--seed", type=int, default=1, help="seed of the loads and of where it strikes (default 1)")
    parser.add_argument(
        "--slice", type=float, metavar="SECONDS", help="as many cells, drawn by the seed, as fit in there"
    )
    parser.add_argument("--broker", help="java (default), docker, auto or HOST:PORT")
    parser.add_argument("--judge-every", type=int, default=10, metavar="N", help="outside checker after N cells (10)")
    parser.add_argument("--keep", action="store_true", help="keep the run folder with all logs")
    parser.add_argument("--list", action="store_true", help="show the cells and leave")
    return parser.parse_args()


async def _run(asked: argparse.Namespace, cells: list[Cell]) -> int:
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # it tells of every fault that is done on purpose
    begun, load_before = time.monotonic(), os.getloadavg()[0]
    async with site(asked.broker, keep=asked.keep, real_kafka=True) as place:
        broker = place.stack.broker
        about = {"kind": broker.kind, "version": broker.version}
        print(f"broker: {broker.describe()} ({place.stack.broker_reason}); {place.stack.postgres.describe()}")
        print(f"{len(cells)} cells, seed {asked.seed}, load average {load_before:.1f}; logs in {place.stack.folder}")
        rows = await run(
            place, cells, asked.seed, lambda row: print(report.line(row), flush=True), judged_every=asked.judge_every
        )
    whole = report.document(rows, broker=about, seconds=time.monotonic() - begun, load_before=load_before)
    if asked.json:
        report.write(asked.json, whole)
    count = whole["count"]
    print(f"{count['green']} green, {count['red']} red, {count['n/a']} n/a in {whole['seconds']:.0f} s")
    if not whole["in_time"]:
        print(f"that is longer than {report.LONGEST_SECONDS // 60} minutes")
    return 1 if count["red"] else 0


def main() -> int:
    """Run; gives the exit status."""
    asked = _arguments()
    try:
        cells = table.chosen(table.cells(), only=asked.only, slice_=asked.slice, seed=asked.seed)
        if asked.list:
            print("\n".join(f"{cell.id:<40} {cell.fault}{' (n/a)' if cell.impossible else ''}" for cell in cells))
            return 0
        return asyncio.run(_run(asked, cells))
    except (LocalError, ValueError) as error:
        print(f"faults: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    forget_libpq_variables()
    show_what_cannot_be_shown()
    sys.exit(main())
