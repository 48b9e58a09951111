"""The store loads all that a decision needs, in a fixed number of statements, and the database guards the rest."""

from __future__ import annotations

from datetime import datetime
from uuid import uuid4

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.messages import Message
from contracts.messages.opportunities import SignupNoted, SignupPromoted, SignupWaitlisted, SignupWithdrawn
from services.opportunities.states import ACTIVE
from tests.integration.opportunities.conftest import Opportunities
from tests.support.opportunities import World, close, hour, project, report, request, shift, withdraw
from tests.support.opportunities_streams import opening, steps
from tests.support.statements import statements


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(steps, min_size=20, max_size=80), st.lists(st.integers(1, 25), min_size=5, max_size=20))
async def test_in_batches_from_the_database_the_same_is_decided_as_one_by_one_in_memory(
    books: Opportunities, stream: list[tuple[Message, datetime]], cuts: list[int]
) -> None:
    await books.clear()
    world = World()
    assert await books.all(*opening()) == world.all_told(*opening())
    sizes = iter(cuts)
    while stream:
        size = next(sizes, 7)
        batch, stream = stream[:size], stream[size:]
        assert await books.apply(batch) == [m for command, at in batch for m in world.told(command, at)]
    kept = {
        row["signup_id"] for row in await books.db.fetch("SELECT signup_id FROM signup WHERE state = ANY($1)", ACTIVE)
    }
    assert kept == {signup.signup_id for signup in world.signups()}
    assert await books.db.fetchval("SELECT count(*) FROM signup_outcome") == len(world.outcomes)


async def test_everything_said_of_a_shift_and_a_project_comes_back_from_the_database(books: Opportunities) -> None:
    first = [project(campaign="summer"), shift(minimum_age=14, posts=3, waitlist=2)]
    assert await books.all(*first) == []
    assert await books.all(*first) == [], "the same version again is recognised as the same"
    she = uuid4()
    asked = request(she, asker="gz", ref="own-1")
    await books.all(asked)
    stored = await books.db.fetchrow("SELECT person, asker, signup_ref, starts_at, origin ->> 'message' FROM signup")
    assert stored is not None
    assert tuple(stored) == (she, "gz", "own-1", hour(9), str(asked.origin.message))


async def test_a_cancelled_shift_withdraws_all_of_its_hundreds_at_once(books: Opportunities) -> None:
    people = [uuid4() for _ in range(300)]
    await books.all(shift(posts=200, waitlist=100), shift("s2", window=(14, 15), posts=9))
    await books.all(*map(request, people), request(people[0], "s2"))
    told = await books.all(shift(version=2, posts=200, waitlist=100, state="cancelled"))
    assert len(told) == 300
    assert {type(message) for message in told} == {SignupWithdrawn}
    assert await books.states() == {"confirmed": 1, "withdrawn": 300}


async def test_a_line_that_closes_withdraws_all_of_its_hundreds_at_once_and_nobody_who_has_a_post(
    books: Opportunities,
) -> None:
    people = [uuid4() for _ in range(300)]
    await books.all(shift(posts=200, waitlist=100), *map(request, people))
    await books.all(*(report(person, window=(11, 13)) for person in people[-50:]))
    told = await books.all(close())
    assert {type(message) for message in told} == {SignupWithdrawn, SignupNoted}
    assert {m.person for m in told if isinstance(m, SignupWithdrawn)} == set(people[200:])
    assert {m.person for m in told if isinstance(m, SignupNoted)} == set(people[-50:])
    assert await books.states() == {"confirmed": 200, "withdrawn": 100, "reported": 50}


async def test_a_line_has_one_timer_however_many_join_it(books: Opportunities) -> None:
    await books.all(shift(waitlist=9), *(request(uuid4()) for _ in range(5)))
    await books.all(*(request(uuid4()) for _ in range(4)))
    timers = await books.db.fetch("SELECT name, due, topic, key FROM timer")
    assert [tuple(row) for row in timers] == [("line:shift:gz:p1:s1", hour(9.25), "opportunities.commands.v1", "gz:p1")]


async def test_raised_posts_and_withdrawals_in_one_batch_promote_the_heads_of_a_long_line(books: Opportunities) -> None:
    people = [uuid4() for _ in range(60)]
    told = await books.all(shift(posts=5, waitlist=100), *map(request, people))
    assert sum(isinstance(message, SignupWaitlisted) for message in told) == 55
    told = await books.all(
        withdraw(people[0]), withdraw(people[5]), withdraw(people[1]), shift(version=2, posts=10, waitlist=100)
    )
    assert [message.person for message in told if isinstance(message, SignupPromoted)] == people[5:13]
    assert await books.states() == {"confirmed": 10, "waitlisted": 47, "withdrawn": 3}


async def test_the_number_of_statements_does_not_depend_on_the_number_of_messages(books: Opportunities) -> None:
    async def taken(*commands: Message) -> int:
        with statements(books.db) as seen:
            await books.all(*commands)
        return len(seen)

    await books.all(*(shift(f"s{n}", posts=20, waitlist=5) for n in range(20)), shift("one", posts=1, waitlist=9))
    await taken(request(uuid4(), "one"))
    await taken(request(uuid4(), "one"))  # asyncpg asks for types it has not seen yet
    one = await taken(request(uuid4(), "one"))
    assert one > 5
    people = [uuid4() for _ in range(500)]
    assert await taken(*(request(person, f"s{n % 20}") for n, person in enumerate(people))) == one
    await books.all(request(uuid4(), "s0"), shift("last", waitlist=3), *(request(uuid4(), "last") for _ in range(3)))

    async def mixed(times: int, base: int) -> int:
        batch: list[Message] = []
        for n in range(base, base + times):
            batch += [
                project(f"p{n}"),
                shift(f"t{n}"),
                shift(f"s{n % 20}", version=base + n + 2, posts=21 + n, waitlist=5),
                withdraw(people[n], f"s{n % 20}"),
                report(uuid4()),
                request(uuid4(), f"t{n}"),
                close(f"u{n}"),
            ]
        return await taken(*batch)

    assert await mixed(1, 0) == await mixed(80, 1)


async def test_the_database_itself_refuses_an_overbooked_shift(books: Opportunities) -> None:
    await books.all(shift(posts=1), request(uuid4()))
    with pytest.raises(asyncpg.CheckViolationError, match="shift_never_overbooked"):
        await books.db.execute("UPDATE shift SET confirmed = confirmed + 1")


@pytest.mark.parametrize("state", ["confirmed", "waitlisted", "reported"])
async def test_the_database_itself_refuses_two_places_at_a_time(books: Opportunities, state: str) -> None:
    she = uuid4()
    await books.all(shift(posts=1), shift("s2", window=(12, 14)), request(she), request(she, "s2"))
    with pytest.raises(asyncpg.ExclusionViolationError, match="signup_one_place_at_a_time"):
        await books.db.execute(
            """UPDATE signup SET starts_at = $1, state = $2, position = CASE WHEN $2 = 'waitlisted' THEN 1 END
               WHERE shift_ref = 's2'""",
            hour(11.5),
            state,
        )
