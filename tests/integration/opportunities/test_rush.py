"""Many at once through the real consumers: the last post, and one person in two places."""

from __future__ import annotations

import asyncio
from uuid import UUID, uuid4

from contracts.messages import Message
from contracts.partitioner import partition_for
from contracts.topics import OPPORTUNITIES_COMMANDS
from tests.integration.opportunities.conftest import Rig
from tests.support.opportunities import event, request, shift, withdraw
from tests.support.waiting import eventually


async def test_of_200_at_once_for_a_last_post_one_gets_it_and_two_withdrawals_promote_two(rig: Rig) -> None:
    early = [uuid4(), uuid4()]
    await rig.send_all(shift(posts=3, waitlist=20), *map(request, early))
    people = [uuid4() for _ in range(200)]
    async with rig.running():
        offsets = await asyncio.gather(*(rig.send(event(request(person))) for person in people))
        await eventually(lambda: rig.db.fetchval("SELECT count(*) = 202 FROM signup_outcome"))
        in_stream = [person for _, person in sorted(zip(offsets, people, strict=True))]
        assert await _persons(rig, "confirmed") == {*early, in_stream[0]}
        line = await rig.db.fetch("SELECT person FROM signup WHERE state = 'waitlisted' ORDER BY position")
        assert [row[0] for row in line] == in_stream[1:21]
        assert await rig.count("signup_outcome WHERE (outcome, reason) = ('refused', 'full')") == 179
        await asyncio.gather(*(rig.send(event(withdraw(person))) for person in early))
        await eventually(lambda: rig.db.fetchval("SELECT count(*) = 2 FROM signup_outcome WHERE outcome = 'promoted'"))
        assert await _persons(rig, "confirmed") == set(in_stream[:3])
        # Requests, withdrawals and promotions have all been told.
        await eventually(lambda: rig.db.fetchval("SELECT count(*) = 0 FROM outbox"))
    assert await rig.count("set_aside") == 0


async def test_one_person_in_two_overlapping_shifts_at_once_gets_one_and_a_clash(rig: Rig) -> None:
    one, other = _projects_of_different_lanes()
    people = [uuid4() for _ in range(150)]
    commands: list[Message] = [shift(of=one, posts=500), shift(of=other, host="sz", window=(11, 14), posts=500)]
    for person in people:
        commands += [request(person, of=one), request(person, of=other, host="sz")]
    await asyncio.gather(*(rig.send(event(command)) for command in commands))
    async with rig.running(lanes=2, batch=10):
        await eventually(lambda: rig.db.fetchval("SELECT count(*) = 300 FROM signup_outcome"))
    assert await _persons(rig, "confirmed") == set(people)
    assert await rig.count("signup WHERE state = 'confirmed'") == 150
    assert await rig.count("signup_outcome WHERE (outcome, reason) = ('refused', 'clash')") == 150
    assert await rig.count("set_aside") == 0


async def test_requests_that_overtake_their_shift_wait_and_are_then_served_in_their_order(rig: Rig) -> None:
    people = [uuid4() for _ in range(30)]
    async with rig.running():
        await rig.send_all(*map(request, people), withdraw(people[2]))
        await eventually(lambda: rig.db.fetchval("SELECT count(*) = 31 FROM set_aside"))
        await rig.send_all(shift(posts=3, waitlist=5))
        await eventually(lambda: rig.db.fetchval("SELECT count(*) = 0 FROM set_aside"))
        await eventually(lambda: rig.db.fetchval("SELECT count(*) = 32 FROM signup_outcome"))
    assert await _persons(rig, "confirmed") == {people[0], people[1], people[3]}


async def _persons(rig: Rig, state: str) -> set[UUID]:
    return {row[0] for row in await rig.db.fetch("SELECT person FROM signup WHERE state = $1", state)}


def _projects_of_different_lanes() -> tuple[str, str]:
    """Projects whose streams are in different halves of the topic: two lanes have one each."""
    partitions = OPPORTUNITIES_COMMANDS.partitions
    one = next(ref for ref in map(str, range(100)) if partition_for(f"gz:{ref}", partitions) < partitions // 2)
    other = next(ref for ref in map(str, range(100)) if partition_for(f"sz:{ref}", partitions) >= partitions // 2)
    return one, other
