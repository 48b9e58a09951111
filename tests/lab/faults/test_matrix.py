"""The matrix is whole: no failpoint of the code is missing in the report, and none of the report in the code."""

from __future__ import annotations

import re
from pathlib import Path

import services
from deploy.tryout.local.specs import process_table
from services.chassis.base.failpoints import NAMES
from tests.lab.faults.course import RESTORED
from tests.lab.faults.kills import ON_THE_JOURNEY, WHERE, matrix
from tests.lab.faults.restored import EVERY_DAY, restored_cells
from tests.lab.faults.table import LOG_SECONDS, cells, chosen

_CALL = re.compile(r'\bfailpoint\("(P\d+)"\)')


def _passed_in_the_code() -> set[str]:
    files = Path(services.__file__ or services.__path__[0])
    folder = files if files.is_dir() else files.parent
    return {name for file in folder.rglob("*.py") for name in _CALL.findall(file.read_text(encoding="utf-8"))}


def test_the_failpoints_passed_in_the_code_are_those_of_the_report() -> None:
    reported = {cell.fault.partition(":")[0] for cell in matrix()}
    assert _passed_in_the_code() == set(NAMES) == set(WHERE) == reported


def test_every_failpoint_stands_beside_every_service_and_adapter_of_the_journey() -> None:
    ours = [spec.name for spec in process_table({"gz": "kafka_native", "sz": "rest_api"}) if "sandbox" not in spec.name]
    assert sorted(ours) == sorted(ON_THE_JOURNEY)
    assert [cell.id for cell in matrix()] == [f"kill-{name}-{point}" for name in ON_THE_JOURNEY for point in NAMES]


def test_a_cell_that_cannot_be_done_says_why_and_no_other_is_left_out() -> None:
    impossible = {cell.id for cell in matrix() if cell.impossible}
    assert impossible == {f"kill-{name}-{point}" for name in ON_THE_JOURNEY[:4] for point in ("P6", "P7")}


def test_the_ids_of_all_cells_differ() -> None:
    ids = [cell.id for cell in cells()]
    assert len(ids) == len(set(ids))


def test_a_slice_is_drawn_by_its_seed_from_what_can_be_done_and_fits_with_one_cut_topic_at_its_end() -> None:
    table = cells()
    whole = {cell.id for cell in table if cell.act is not None and cell.leaves == "whole" and cell.takes <= 60}
    cut = {cell.id for cell in table if cell.leaves == "cut" and cell.takes <= LOG_SECONDS}
    drawn = set()
    for seed in range(400):
        *part, last = chosen(table, only=[], slice_=60, seed=seed)
        assert 0 < sum(cell.takes for cell in part) <= 60
        assert last.id in cut
        assert {cell.leaves for cell in part} == {"whole"}
        assert [cell.id for cell in (*part, last)] == [
            cell.id for cell in chosen(cells(), only=[], slice_=60, seed=seed)
        ]
        drawn |= {cell.id for cell in (*part, last)}
    assert drawn == whole | cut


def test_only_the_great_loads_the_restored_and_the_topic_that_grows_are_too_long_for_a_slice() -> None:
    """Whichever of the restored ones comes first runs the course for all of them; the tests do some of them anyhow."""
    long = {cell.id for cell in cells() if cell.takes > (60 if cell.leaves == "whole" else LOG_SECONDS)}
    assert long == {"flood", "homes-down", "log-growing", *(cell.id for cell in restored_cells())}


def test_the_restored_cells_of_every_day_put_back_each_service_and_are_in_the_matrix() -> None:
    every_day = [cell for cell in restored_cells() if cell.id in EVERY_DAY]
    assert len(every_day) == len(EVERY_DAY)
    assert {cell.service for cell in every_day} == set(RESTORED)
