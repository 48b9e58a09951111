"""``make simulate ARGS="--seeds N --from S"``: runs of the linkage in memory by seed, until one fails or all hold."""

from __future__ import annotations

import argparse
import sys
import time

from deploy.web.complaints import show_what_cannot_be_shown
from tests.simulation.failing import failing, numbers_of
from tests.simulation.quiet import quiet


def main() -> int:
    """Exit status 1 where a seed failed."""
    parser = argparse.ArgumentParser(prog="make simulate", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000, help="how many seeds (default 1000)")
    parser.add_argument("--from", type=int, default=0, dest="first", help="the first seed (default 0)")
    parser.add_argument("--keep", type=numbers_of, help="only these steps of the seed, as a failure names them")
    chosen = parser.parse_args()
    quiet()
    began, failed = time.monotonic(), 0
    for seed in range(chosen.first, chosen.first + chosen.seeds):
        if (found := failing(seed, kept=chosen.keep)) is not None:
            failed += 1
            print(found, flush=True)
        done = seed - chosen.first + 1
        if done % 100 == 0:
            print(f"{done} seeds, {failed} failed, {time.monotonic() - began:.0f} s", flush=True)
    print(f"{chosen.seeds} seeds from {chosen.first}: {failed or 'none'} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    show_what_cannot_be_shown()
    sys.exit(main())
