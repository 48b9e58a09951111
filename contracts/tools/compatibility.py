"""The gate within a version: only optional fields may be added (contracts/DECISIONS §7).

Usage: ``python -m contracts.tools.compatibility [--against REVISION_OR_FOLDER ...]``. Without an argument the contracts
are compared with what was published at the newest release tag (v*), at the last change in place that CHANGELOG.md
names, at HEAD~1 and at HEAD, as far as these exist. A revision from before the last change in place is compared too;
its breaks are shown, and do not fail. Exit 1 names every break, 2 what cannot be compared. Widening breaks too: an
old reader refuses what a new writer sends.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from contracts.envelope import ContractError, parse_structured
from contracts.messages import RETIRED, message_types
from contracts.tools.bases import Edition, Repository, from_folder
from contracts.tools.publish import topic_list
from contracts.tools.schema_breaks import schema_breaks
from contracts.tools.schemas import schema_of
from contracts.tools.topic_breaks import topic_breaks

__all__ = ["compare", "current", "example_breaks", "main"]

_ROOT: Final = Path(__file__).parents[2]


def current() -> Edition:
    """What the code says now. Its examples are not needed: the base's are read."""
    schemas = {name: schema_of(message) for name, message in message_types().items()}
    return Edition(schemas, tuple(topic_list()))


def compare(old: Edition, new: Edition, retired: frozenset[str] = RETIRED) -> list[str]:
    """Every break between two editions of schemas and topics, one line each."""
    found = [f"{name}: retired, and may not come back under this name" for name in retired & new.schemas.keys()]
    for name, schema in old.schemas.items():
        if name in new.schemas:
            found += [f"{name}{at}" for at in schema_breaks(schema, new.schemas[name])]
        elif name not in retired:
            found.append(f"{name}: removed; name it in RETIRED once nobody holds one any more")
    for name in new.schemas.keys() - old.schemas.keys():
        found += [f"{name}{at}" for at in schema_breaks(new.schemas[name], new.schemas[name])]
    return sorted(found + list(topic_breaks(old.topics, new.topics, retired)))


def example_breaks(examples: Mapping[str, bytes], retired: frozenset[str] = RETIRED) -> Iterator[str]:
    """Decode a base's examples with today's code: rules between fields stand in no schema.

    A valid example that is refused breaks old writers. An invalid one that is read breaks old readers.
    """
    for name, raw in examples.items():
        kind, _, case = name.partition("/")
        if kind in retired:
            continue
        try:
            parse_structured(raw, strict=True)
        except ContractError as error:
            if case.startswith("valid-"):
                yield f"{name}: was valid, is refused ({error})"
        else:
            if case.startswith("invalid-"):
                yield f"{name}: was refused, is valid"


def main(arguments: list[str] | None = None, root: Path = _ROOT) -> int:
    """Run the gate. 0: compatible; 1: breaks; 2: a base that was asked for is not there."""
    parser = argparse.ArgumentParser(prog="python -m contracts.tools.compatibility", description=__doc__)
    parser.add_argument("--against", action="append", metavar="REVISION_OR_FOLDER")
    asked: list[str] | None = parser.parse_args(arguments).against
    repository, now, failed = Repository(root), current(), False
    for base, counts in [(base, True) for base in asked] if asked else _bases(repository):
        try:
            then = from_folder(Path(base)) if Path(base).is_dir() else repository.edition(base)
        except (OSError, ValueError) as error:
            print(f"{base}: cannot be read: {error}", file=sys.stderr)
            return 2
        if then is None:
            print(f"{base}: nothing published there")
            if asked:
                return 2
            continue
        found = compare(then, now) + sorted(example_breaks(then.examples))
        failed = failed or (counts and bool(found))
        print(f"{base}: {_summary(then, found, counts)}")
        for line in found:
            print(f"  {line}")
    if failed:
        print(
            "A break is a new message with the next version beside the old one. Before a release, version 1 may change "
            "in place: see contracts/README.md.",
            file=sys.stderr,
        )
    return 1 if failed else 0


def _bases(repository: Repository) -> Iterator[tuple[str, bool]]:
    """Each base, and whether its breaks count. A release counts always."""
    release, moved = repository.release(), repository.last_moved()
    yield from ((base, True) for base in (release, moved) if base is not None)
    now = repository.changes_in_place()
    for revision in ("HEAD~1", "HEAD"):
        yield revision, repository.changes_in_place(revision) == now


def _summary(then: Edition, found: list[str], counts: bool) -> str:
    messages = f"{len(then.schemas)} messages"
    if not found:
        return f"{messages}, compatible"
    told = "" if counts else ", changed in place since, as CHANGELOG.md says"
    return f"{messages}, {len(found)} {'break' if len(found) == 1 else 'breaks'}{told}"


if __name__ == "__main__":
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # characters its encoding lacks
    sys.exit(main())
