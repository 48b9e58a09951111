"""``make simulate``: runs of the linkage in memory by seed, on all processors; or the search for safeguards taken away.

``--seeds N --from S`` runs seeds, ``--keep`` steps of one. ``--planted`` prints what is known of each safeguard, and
with ``--find`` searches anew (``--only NAME`` for one of them) and keeps it.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterable
from functools import partial
from multiprocessing import Pool

from deploy.web.complaints import show_what_cannot_be_shown
from tests.simulation.failing import failing, numbers_of
from tests.simulation.planted import PLANTED, Found, keep, known, search, table
from tests.simulation.quiet import quiet


def main() -> int:
    """Exit status 1 where a seed failed, or a safeguard was not missed."""
    parser = argparse.ArgumentParser(prog="make simulate", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000, help="how many seeds (default 1000; of a search 400)")
    parser.add_argument("--from", type=int, default=0, dest="first", help="the first seed (default 0)")
    parser.add_argument("--keep", type=numbers_of, help="only these steps of the seed, as a failure names them")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="how many processes (default all)")
    parser.add_argument("--planted", action="store_true", help="the table of safeguards that were taken away")
    parser.add_argument("--find", action="store_true", help="search for each of them anew")
    parser.add_argument("--only", action="append", choices=PLANTED, metavar="NAME", help="search for this one only")
    chosen = parser.parse_args()
    if chosen.planted:
        return _planted(chosen.only or list(PLANTED), chosen) if chosen.find else _print_table()
    return _seeds(chosen)


def _seeds(chosen: argparse.Namespace) -> int:
    began, failed = time.monotonic(), 0
    run = partial(_story, kept=chosen.keep)
    with Pool(chosen.workers, quiet) as pool:
        for done, story in enumerate(pool.imap_unordered(run, _numbers(chosen), chunksize=4), 1):
            if story is not None:
                failed += 1
                print(story, flush=True)
            if done % 100 == 0:
                print(f"{done} seeds, {failed} failed, {time.monotonic() - began:.0f} s", flush=True)
    print(f"{chosen.seeds} seeds from {chosen.first}: {failed or 'none'} failed")
    return 1 if failed else 0


def _numbers(chosen: argparse.Namespace) -> Iterable[int]:
    return range(chosen.first, chosen.first + chosen.seeds)


def _story(seed: int, kept: list[int] | None) -> str | None:
    found = failing(seed, kept=kept)
    return None if found is None else str(found)


def _print_table() -> int:
    print(table(known()))
    return 0


def _planted(names: list[str], chosen: argparse.Namespace) -> int:
    seeds = 400 if chosen.seeds == 1000 else chosen.seeds
    found = known()
    missed = []
    with Pool(chosen.workers, quiet) as pool:
        for name, one in pool.imap_unordered(partial(_search, seeds=seeds), names):
            print(name, one or f"not missed in {seeds} seeds", flush=True)
            if one is None:
                missed.append(name)
                found.pop(name, None)
            else:
                found[name] = one
            keep(found)
    return 1 if missed else 0


def _search(name: str, seeds: int) -> tuple[str, Found | None]:
    return name, search(name, seeds)


if __name__ == "__main__":
    show_what_cannot_be_shown()
    sys.exit(main())
