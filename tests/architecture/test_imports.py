"""No circle of imports: whoever reads a module upwards comes to an end."""

from __future__ import annotations

from pathlib import Path

from tests.architecture.imports import arrows, circle

ROOT = Path(__file__).parents[2]


def test_no_modules_import_each_other_in_a_circle() -> None:
    """The launcher and the variables of its processes did, and so did the two kinds of database server."""
    drawn = arrows(ROOT, ("contracts", "services", "deploy"))
    assert len(drawn) > 200
    assert circle(drawn) == []


def test_the_outside_checker_imports_the_contracts_itself_and_one_file_about_the_client_alone() -> None:
    """A fault that the checker shares with a service is a fault that the checker never finds."""
    drawn = arrows(ROOT, ("contracts", "services", "deploy"))
    of_checker = {of: named for of, named in drawn.items() if of.startswith("deploy.audit")}
    assert len(of_checker) > 20
    allowed = ("deploy.audit", "contracts", "deploy.header_names")
    strange = {(of, to) for of, named in of_checker.items() for to in named if not to.startswith(allowed)}
    assert strange == set()


def test_a_circle_is_found_also_where_a_type_checker_or_a_function_alone_imports(tmp_path: Path) -> None:
    (tmp_path / "house").mkdir()
    (tmp_path / "house" / "__init__.py").touch()
    (tmp_path / "house" / "cellar.py").write_text("if TYPE_CHECKING:\n    from house.roof import tile\n")
    (tmp_path / "house" / "roof.py").write_text("def build():\n    from house import stair\n")
    (tmp_path / "house" / "stair.py").write_text("import house.cellar\n")
    found = circle(arrows(tmp_path, ["house"]))
    assert set(found) == {"house.cellar", "house.roof", "house.stair"}
    (tmp_path / "house" / "stair.py").write_text("import os\n")
    assert circle(arrows(tmp_path, ["house"])) == []
