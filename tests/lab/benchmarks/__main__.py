"""``python -m tests.lab.benchmarks [--json FILE]``: all workloads; status 1 when a check or a target fails."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from deploy.addresses import forget_libpq_variables
from deploy.operate.errors import LocalError
from deploy.tryout.local import brokers, folders
from deploy.tryout.local.postgres_embedded import EmbeddedPostgres
from deploy.web.complaints import show_what_cannot_be_shown
from tests.lab.benchmarks.decider import FORMS, decider
from tests.lab.benchmarks.latency import latency
from tests.lab.benchmarks.report import Result, document, table
from tests.lab.benchmarks.stage import Stage
from tests.lab.benchmarks.start import start
from tests.support.arguments import report_file

_WORKLOADS = ("start", "decider", "latency")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.lab.benchmarks", description=__doc__)
    parser.add_argument("--json", type=report_file, metavar="FILE", help="write the document there; - prints it")
    parser.add_argument("--broker", help="java (default), docker, auto or HOST:PORT")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of every form, interleaved (default 3)")
    parser.add_argument("--only", choices=_WORKLOADS, help="one workload alone")
    parser.add_argument("--form", action="append", choices=[form.name for form in FORMS], help="these forms alone")
    return parser.parse_args()


@asynccontextmanager
async def _stage(broker: str | None) -> AsyncIterator[Stage]:
    """Broker and database: every commit waits for the disk, as in operation."""
    folder = await asyncio.to_thread(folders.new_run_folder, "bench")
    choice = await brokers.choose(broker, folder / "broker", default="java")
    database = EmbeddedPostgres(folder / "postgresql", durable=True)
    try:
        await asyncio.gather(choice.broker.start(), database.start())
        yield Stage(choice.broker, database)
    finally:
        await asyncio.gather(choice.broker.stop(), database.stop())
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


async def _all(arguments: argparse.Namespace) -> int:
    load_before = os.getloadavg()[0]
    results: list[Result] = []
    servers = ("embedded", "embedded")
    if arguments.only in (None, "start") and not arguments.form:
        results.extend(await start(arguments.rounds, _say))
    if arguments.only != "start":
        async with _stage(arguments.broker) as stage:
            servers = (stage.broker.describe(), stage.postgres.describe())
            if arguments.only != "latency":
                forms = tuple(form for form in FORMS if not arguments.form or form.name in arguments.form)
                results.extend(await decider(stage, arguments.rounds, forms, _say))
            if arguments.only != "decider" and not arguments.form:
                results.extend(await latency(stage, _say))
    whole = document(results, *servers, load_before)
    print(table(results))
    if arguments.json is not None:
        text = json.dumps(whole, indent=2, ensure_ascii=False)
        if str(arguments.json) == "-":
            print(text)
        else:
            await asyncio.to_thread(arguments.json.write_text, text + "\n", encoding="utf-8")
    return 0 if all(result.holds and all(result.targets.values()) for result in results) else 1


def _say(step: str) -> None:
    print(step, file=sys.stderr, flush=True)


def main() -> int:
    """Run; 0 measured and checked, 1 a check or a target failed, 2 this machine lacks something."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    try:
        return asyncio.run(_all(_arguments()))
    except LocalError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    forget_libpq_variables()
    show_what_cannot_be_shown()
    sys.exit(main())
