"""Words are found by their pairs of characters: what is found is what stands there, and what is rare costs little."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any, Final

import pytest

from services.opportunities import search
from services.opportunities.search import Query
from tests.integration.opportunities.conftest import Opportunities
from tests.support.opportunities import BEFORE, hour
from tests.support.statements import rows_read

LETTERS: Final = "图书馆岛二沙公园河aAbB1 é_%\\𠮷"
"""Few, so that much is alike; with a letter beyond the first plane, one with an accent, and LIKE's own characters."""
MANY: Final = 20_000

_PROJECTS: Final = """INSERT INTO project
SELECT 'gz', 'p' || n, 1, title, 'ecology', NULL, campaign, 'o', 'open'
  FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS t(title, campaign, n)"""
_SHIFTS: Final = """INSERT INTO shift
SELECT 'gz', 'p' || 1 + n % $2, 's' || n, 1, starts_at, starts_at + interval '2 hours', starts_at - interval '90 days',
       starts_at, 1, 0, 0, '440103', place, 'open', 0, 0, 1, 0
  FROM unnest($1::text[]) WITH ORDINALITY AS t(place, n),
       LATERAL (SELECT $3::timestamptz + n * interval '1 minute' AS starts_at)"""


async def _filled(books: Opportunities, titles: list[tuple[str, str | None]], places: list[str]) -> None:
    await books.db.execute(_PROJECTS, [title for title, _ in titles], [campaign for _, campaign in titles])
    await books.db.execute(_SHIFTS, places, len(titles), hour(0))


async def _refs(books: Opportunities, text: str | None, *, limit: int = MANY, after: str | None = None) -> list[str]:
    rows = await search.find(books.db, Query(at=BEFORE, limit=limit, text=text, after=after))
    return [row["shift_ref"] for row in rows]


@pytest.mark.parametrize("near", [0, 7, 1000])
async def test_by_the_index_the_same_is_found_as_by_reading_everything(
    books: Opportunities, monkeypatch: pytest.MonkeyPatch, near: int
) -> None:
    monkeypatch.setattr(search, "_NEAR", near)
    draw = random.Random(near)

    def some(longest: int) -> str:
        return "".join(draw.choices(LETTERS, k=draw.randint(1, longest)))

    titles = [(some(8), draw.choice((None, some(6)))) for _ in range(12)]
    places = [some(8) for _ in range(150)]
    await _filled(books, titles, places)
    said = {
        f"s{n}": (f"{titles[n % 12][0]} {titles[n % 12][1] or ''}".lower(), place.lower())
        for n, place in enumerate(places, 1)
    }
    for _ in range(300):
        text = " ".join(some(4) for _ in range(draw.randint(1, 3)))
        words = text.lower().split()
        expected = [ref for ref, places_of in said.items() if all(any(w in one for one in places_of) for w in words)]
        limit = draw.choice((3, 200))
        assert await _refs(books, text, limit=limit) == expected[:limit], text


async def _rows_read(books: Opportunities, text: str) -> int:
    """Rows that the statements of this search took from tables, as PostgreSQL counted them."""
    asked: list[tuple[str, Iterable[Any]]] = []
    with books.db.query_logger(lambda record: asked.append((record.query, record.args))):
        await _refs(books, text, limit=21)
    return sum([await rows_read(books.db, sql, *arguments) for sql, arguments in asked])


async def test_a_word_that_is_rare_or_nowhere_reads_few_of_20000_shifts(books: Opportunities) -> None:
    """It read all of them: ten such searches of 200,000 shifts kept everybody from an answer."""
    titles: list[tuple[str, str | None]] = [(f"图书馆志愿服务 {n}", "志愿一夏" if n % 3 else None) for n in range(2000)]
    titles[1234] = ("萤火虫夜观", None)
    await _filled(books, titles, [f"天河公园 {n} 号门" for n in range(MANY - 1)] + ["麓湖观鸟亭"])
    await books.db.execute("ANALYZE")
    assert await _refs(books, "观鸟") == [f"s{MANY}"]
    assert len(await _refs(books, "萤火虫")) == MANY // 2000
    for text, most in (
        ("水族馆", 4 * search._NEAR),
        ("zebra", 4 * search._NEAR),
        ("鲸", 4 * search._NEAR),
        ("萤火虫", 4 * search._NEAR),
        ("观鸟", 4 * search._NEAR),
        ("公园 19998", 30_000),  # one word that all have beside one that one has
        ("公园", 4 * search._NEAR),
        ("图书馆 公园", 4 * search._NEAR),
    ):
        assert await _rows_read(books, text) <= most, text


async def test_a_sign_up_pays_nothing_for_the_index(books: Opportunities) -> None:
    """The words of its shift stay the same, so the new row needs no entry (a heap-only update)."""
    await _filled(books, [("图书馆", None)], ["天河公园"])
    await books.db.execute("UPDATE shift SET confirmed = 1")
    await books.db.execute("SELECT pg_stat_force_next_flush()")
    hot = await books.db.fetchval("SELECT n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'shift'")
    assert hot == 1
