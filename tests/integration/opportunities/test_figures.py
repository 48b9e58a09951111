"""What operators are told of overbooking, campaigns and windows that lost."""

from __future__ import annotations

from uuid import uuid4

import pytest

from services.chassis.base.database import open_connection
from services.opportunities import search
from services.opportunities.states import Shift
from tests.integration.opportunities.conftest import Opportunities
from tests.support.opportunities import project, report, request, shift, withdraw


async def _figure(database: str, name: str) -> int:
    db = await open_connection(database, application="test")
    try:
        return int((await search.figures(db))[name])
    finally:
        await db.close()


async def test_posts_given_above_the_allotment_of_their_moment_stay_counted_after_they_are_given_back(
    books: Opportunities, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen: what stood at the end was compared with the service's own capacity, so a healed overbooking was none."""
    people = [uuid4() for _ in range(4)]
    # A planted fault: the rule gives one post too many, and the CHECK that would stop it is gone.
    await books.db.execute("ALTER TABLE shift DROP CONSTRAINT shift_never_overbooked")
    monkeypatch.setattr(Shift, "free", property(lambda shift: max(0, shift.posts + 1 - shift.confirmed)))
    await books.all(shift(posts=2), *map(request, people))
    assert await books.states() == {"confirmed": 3}
    monkeypatch.undo()
    assert await _figure(database, "overbooked") == 1
    await books.all(*map(withdraw, people[:3]))
    await books.all(shift(version=2, posts=9))
    assert await _figure(database, "overbooked") == 1


async def test_a_host_that_lowers_posts_below_what_is_confirmed_overbooks_nothing(
    books: Opportunities, database: str
) -> None:
    people = [uuid4() for _ in range(3)]
    await books.all(shift(posts=3, waitlist=2), *map(request, people), shift(version=2, posts=1, waitlist=2))
    await books.all(request(uuid4()), withdraw(people[0]), withdraw(people[1]), withdraw(people[2]))
    assert await books.states() == {"confirmed": 1, "withdrawn": 3}
    assert await _figure(database, "overbooked") == 0


async def test_overbooking_that_the_counter_does_not_know_of_is_counted_from_the_sign_ups(
    books: Opportunities, database: str
) -> None:
    await books.all(shift(posts=3), *(request(uuid4()) for _ in range(3)))
    await books.db.execute("UPDATE shift SET posts = 1, capacity = 1, confirmed = 1")
    assert await _figure(database, "overbooked") == 2


async def test_a_campaign_of_two_hosts_is_one_campaign(books: Opportunities, database: str) -> None:
    await books.all(project("p1", campaign="summer"), project("p2", host="sz", campaign="summer"), project("p3"))
    assert await _figure(database, "campaigns") == 1
    await books.all(project("p3", version=2, campaign="winter"))
    assert await _figure(database, "campaigns") == 2


async def test_windows_that_lost_are_counted_until_they_stand(books: Opportunities, database: str) -> None:
    she = uuid4()
    await books.all(shift(), request(she), report(she))
    assert await _figure(database, "clashed") == 1
    await books.all(withdraw(she))
    assert (await _figure(database, "clashed"), await _figure(database, "reported")) == (0, 1)
