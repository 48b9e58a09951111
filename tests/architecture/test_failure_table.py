"""The table of failure classes in services/README.md has every class, and what it names is there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, get_args

from services.chassis.base import metrics
from services.chassis.base.failures import FailureClass
from services.chassis.batch.reasons import AsideReason

SERVICES: Final = Path(__file__).parents[2] / "services"
CELLS: Final = ("class", "what it is", "what is done", "log", "health", "metrics")
NO_CLASS_OF_AN_ERROR: Final = {"overtaken", "undecodable", "unreadable", "unwritable"}
"""Rows about batches and messages that fail without an error which ``failures.classify`` is asked about."""


def table() -> dict[str, dict[str, str]]:
    """The rows by class, each a mapping of its cells."""
    _, _, text = (SERVICES / "README.md").read_text("utf-8").partition("\nA failure is treated by its class")
    lines = [line for line in text.partition("\n\nA process:")[0].splitlines() if line.startswith("| ")]
    head, *rows = ([cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines)
    assert tuple(head) == CELLS
    assert [row[0] for row in rows if len(row) != len(CELLS)] == []
    return {row[0].replace(" ", "_"): dict(zip(CELLS, row, strict=True)) for row in rows}


def test_every_class_has_a_row_and_says_what_log_health_and_metrics_tell() -> None:
    rows = table()
    assert set(rows) == {one.value for one in FailureClass} | NO_CLASS_OF_AN_ERROR
    assert [name for name, row in rows.items() if "" in row.values()] == []


def test_the_metrics_and_labels_that_the_table_names_are_there() -> None:
    counted = {f"{one.name}_total" for one in metrics.own().kept.collect() if one.type == "counter"}
    known = counted | {f"shuangcheng_{name}" for name in metrics._HELP}
    for name, row in table().items():
        named = re.findall(r"`(shuangcheng_\w+)(?:\{(\w+)(?:=\"(\w+)\")?\})?`", row["metrics"])
        assert named, name
        for metric, label, value in named:
            assert metric in known, metric
            if label == "class":
                assert value == name
            if label == "reason" and value:
                assert value in {word for part in get_args(AsideReason) for word in (get_args(part) or (part,))}


def test_the_log_lines_that_the_table_names_are_written() -> None:
    code = "\n".join(file.read_text("utf-8") for file in (SERVICES / "chassis").rglob("*.py"))
    for name, row in table().items():
        for line in re.findall(r"`([^`]+)`", row["log"]):
            assert f'"{line}"' in code, (name, line)
