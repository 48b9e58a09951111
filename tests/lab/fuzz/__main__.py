"""``python -m tests.lab.fuzz``: Kafka records by seed at the real border. Status 0 held, 1 not held, 2 environment."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import sys

from deploy.addresses import forget_libpq_variables
from deploy.operate.errors import LocalError
from deploy.web.complaints import show_what_cannot_be_shown
from tests.lab.fuzz.border import border
from tests.lab.fuzz.judging import Result, run
from tests.support.arguments import report_file


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.lab.fuzz", description=__doc__)
    parser.add_argument("--records", type=int, default=500_000, help="how many records (default 500000)")
    parser.add_argument("--seed", type=int, default=1, help="seed of all records (default 1)")
    parser.add_argument("--broker", help="java (default), docker, auto or HOST:PORT")
    parser.add_argument("--json", type=report_file, metavar="FILE", help="write the report there; - prints it")
    return parser.parse_args()


async def _run(asked: argparse.Namespace) -> Result:
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # it tells of every batch that the broker refuses
    async with border(asked.broker) as place:
        print(f"broker: {place.stack.broker.describe()}; {place.stack.postgres.describe()}; seed {asked.seed}")
        result = await run(place, asked.seed, asked.records, lambda line: print(f"  {line}", flush=True))
        if result.faults:
            place.stack.keep()
            print(f"logs stay in {place.stack.folder}")
        return result


def main() -> int:
    """Run; gives the exit status."""
    asked = _arguments()
    try:
        result = asyncio.run(_run(asked))
    except LocalError as error:
        print(f"fuzz: {error}", file=sys.stderr)
        return 2
    text = json.dumps(vars(result), ensure_ascii=False, indent=2)
    if asked.json and str(asked.json) != "-":
        asked.json.write_text(text + "\n", encoding="utf-8")
    print(text)
    print("HELD" if not result.faults else "NOT HELD: " + "; ".join(result.faults))
    return 1 if result.faults else 0


if __name__ == "__main__":
    forget_libpq_variables()
    show_what_cannot_be_shown()
    sys.exit(main())
