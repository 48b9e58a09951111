"""The course that services are restored from: all that can happen, with dumps of all databases at five moments."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

from aiokafka import TopicPartition

from contracts.messages.service import ServiceAttested
from contracts.messages.volunteers import LinkOffered, LinkRequested
from contracts.partitioner import partition_for
from contracts.topics import ATTENDANCE_COMMANDS, OPPORTUNITIES_COMMANDS, OPPORTUNITIES_EVENTS, VOLUNTEERS, TopicEntry
from deploy.linkage import SERVICES
from deploy.operate.ends import Ends
from deploy.operate.lines import Letter
from tests.lab.faults.books import judge
from tests.lab.faults.cast import EARLY, Cast, Line, project_of
from tests.lab.faults.load import LATE, Story, letters, spread, told
from tests.lab.faults.site import Site
from tests.support.dumps import Dumps
from tests.support.journey import DAY, Visit
from tests.support.waiting import eventually

__all__ = ["MOMENTS", "RESTORED", "Course"]

RESTORED: Final = (*SERVICES, "adapter_sz")
"""Whose databases are dumped and put back."""
MOMENTS: Final = {
    "begin": "before anything was said",
    "linking": "while people are linked",
    "race": "while a partition of three services is held, so that what was appended first is decided last",
    "sent": "after credits were sent and before any receipt",
    "last": "shortly before the end",
}
_RACING: Final = ("opportunities", "attendance")
_WAITING: Final = {("bridge", "waiting"): 1, ("attendance", "waiting"): 1}
"""Who waits for what never comes."""
_TRANSFER: Final = "SELECT state FROM transfer WHERE record_ref = $1"
_HOMES: Final = ("sandbox_gz", "sandbox_sz")
_LINKING: Final = (LinkOffered, LinkRequested)


class Course:
    """A linkage in which all of it happened: its dumps, and whether it went as it was planned."""

    def __init__(self, site: Site, rng: random.Random) -> None:
        self.dumps = Dumps(site.stack)
        self.as_planned = False
        self.notes: list[str] = []
        self.left: Visit
        """She who gave her post back when she had served."""
        self._site, self._rng = site, rng
        self._cast = Cast(rng)
        self._usual: list[Story] = []
        self._rest: list[list[Letter]] = []

    async def run(self) -> None:
        """All of it, in order."""
        await self._site.drained()
        await self._dump("begin")
        await self._linking()
        await self._signing_up()
        await self._races()
        await self._serving()
        await self._last()
        await self._site.drained()
        await self._judged()

    async def _dump(self, moment: str) -> None:
        await self.dumps.take(moment, RESTORED)

    async def _say(self, lines: Iterable[Line], at: datetime = EARLY) -> None:
        await self._site.publish(told(self._rng, list(lines), at))

    async def _linking(self) -> None:
        """The dump meets half of the links under way. Two wait for what never comes, one for what comes at its end."""
        cast = self._cast
        await self._say([cast.nobody.attest(30), cast.hasty.attest(60), *cast.hasty.presence(), cast.hasty.sign_up()])
        links = [*letters(cast.usual, only=_LINKING)]
        links += told(self._rng, [line for visit in cast.linked for line in visit.link()], EARLY)
        links += told(self._rng, cast.mistake(), EARLY)
        half = len(links) // 2
        await self._site.publish(links[:half])
        await asyncio.gather(self._site.publish(links[half:]), self._dump("linking"))
        await self._say([*reversed(cast.hasty.publish()), *reversed(cast.hasty.link())])
        await self._linked(cast.linked)
        await self._say(cast.uninvited.presence()[:1], cast.uninvited.start)

    async def _linked(self, visits: Sequence[Visit]) -> None:
        refs = sorted(visit.home_ref for visit in visits)
        sql = "SELECT count(*) FROM link WHERE home_ref = ANY($1)"
        await self._until("bridge", sql, refs, len(refs))

    async def _signing_up(self) -> None:
        """All that comes before service; and one line whose first gave back and came again before the second came."""
        cast = self._cast
        await self._say(cast.published())
        await self._site.publish(letters(cast.usual, but=(*LATE, *_LINKING)))
        await self._say(cast.signed_up(), EARLY + timedelta(minutes=2))
        present = [line for visit in (cast.unheard, cast.torn, *cast.leaving) for line in visit.presence()]
        await self._say(present, cast.torn.start)
        later = cast.first.start - timedelta(days=19)
        await self._say(cast.returning(), later)
        await self._stands(cast.first, "confirmed")
        decided = "SELECT count(*) FROM signup_outcome AS o JOIN signup AS s USING (signup_id) WHERE s.signup_ref = $1"
        await self._until("opportunities", decided, cast.first.signup_ref, 3)
        await self._say([cast.second.sign_up()], later + timedelta(hours=1))
        await self._stands(cast.second, "waitlisted")

    async def _until(self, database: str, sql: str, about: object, wanted: object) -> None:
        async def asked() -> bool:
            found = await self._site.books.value(database, sql, about)
            assert found == wanted, f"{database}, {sql}: {found!r}, wanted {wanted!r}"
            return True

        await eventually(asked, every=0.1)

    async def _stands(self, visit: Visit, state: str) -> None:
        sql = "SELECT state FROM signup WHERE signup_ref = $1"
        await self._until("opportunities", sql, visit.signup_ref, state)

    async def _races(self) -> None:
        """In each of three services a partition stands: what lies in it is decided after what was appended later."""
        site, cast = self._site, self._cast
        await asyncio.gather(*(site.restart(name, LANES="2") for name in _RACING))
        self.left = await self._of_first_lane(cast.leaving)
        async with contextlib.AsyncExitStack() as held:
            at, asked = held.enter_async_context, project_of(cast.appended_first)
            await at(_held(site, "opportunities", "opportunities", OPPORTUNITIES_COMMANDS, asked))
            await self._two_shifts_of_one_time()
            await at(_held(site, "attendance", "attendance", OPPORTUNITIES_EVENTS, project_of(self.left)))
            await self._served_and_gave_back()
            await at(_held(site, "bridge", "bridge.sz", VOLUNTEERS.of("sz"), cast.unheard.home_ref))
            await self._consent_taken_back()
            await self._dump("race")
        await site.drained(but=_WAITING)
        await asyncio.gather(*(self._one_lane_again(name) for name in _RACING))

    async def _one_lane_again(self, name: str) -> None:
        """Killed: on the embedded broker a process with two lanes may take minutes to leave its group in order."""
        self._site.child(name).kill()
        await self._site.child(name).wait()
        await self._site.start(name)

    async def _of_first_lane(self, visits: Sequence[Visit]) -> Visit:
        """One whose own partition is read by another lane than the last partition of a topic."""
        rows = await self._site.books.fetch("bridge", "SELECT ref, person::text FROM account WHERE role = 'home'")
        person = {row["ref"]: row["person"] for row in rows}
        return next(
            one for one in visits if partition_for(person[one.home_ref], ATTENDANCE_COMMANDS.partitions) % 2 == 0
        )

    async def _two_shifts_of_one_time(self) -> None:
        """She asks for two shifts that overlap: the one that was asked for last is given to her."""
        before = await self._site.quiet.ends()
        await self._say([self._cast.appended_first.sign_up()])
        await self._appended(OPPORTUNITIES_COMMANDS, project_of(self._cast.appended_first), before)
        await self._say([self._cast.decided_first.sign_up()])
        await self._stands(self._cast.decided_first, "confirmed")

    async def _served_and_gave_back(self) -> None:
        """She gives her post back, and her service is confirmed before attendance has heard of it."""
        before = await self._site.quiet.ends()
        await self._say([self.left.give_back()], EARLY + timedelta(hours=1))
        await self._appended(OPPORTUNITIES_EVENTS, project_of(self.left), before)
        await self._say([self.left.attest(100)], self.left.start + timedelta(hours=5))
        sql = "SELECT counted_version FROM service_record WHERE record_ref = $1"
        await self._until("attendance", sql, self.left.record_ref, 1)

    async def _consent_taken_back(self) -> None:
        """She takes her consent back, and her minutes are sent before the border has read it."""
        unheard = self._cast.unheard
        await self._say([unheard.withdraw_consent()], unheard.start + timedelta(hours=4))
        await self._say([unheard.attest(90)], unheard.start + timedelta(hours=5))
        await self._until("bridge", _TRANSFER, unheard.record_ref, "sent")

    async def _appended(self, entry: TopicEntry, key: str, before: Ends) -> None:
        place = TopicPartition(entry.name, partition_for(key, entry.partitions))

        async def grown() -> bool:
            return (await self._site.quiet.ends())[place] > before[place]

        await eventually(grown, what=f"more on {place}")

    async def _serving(self) -> None:
        """Credits go out while both homes are away. What is said first of each late word, the rest comes last."""
        site, cast = self._site, self._cast
        self._usual = await site.settled(cast.usual)
        early = {one.event.id for one in letters(cast.usual, but=LATE)}
        first, *self._rest = spread(self._usual, 3, early)
        for name in _HOMES:
            await site.child(name).stop()
        await site.publish(first)
        await self._say([cast.held.attest(75), cast.evidenced.attest(70)], DAY + timedelta(hours=5))
        refs = [one.event.data.record_ref for one in first if isinstance(one.event.data, ServiceAttested)]
        sql = "SELECT count(*) FROM transfer WHERE record_ref = ANY($1) AND state = 'sent'"
        await self._until("bridge", sql, refs, len(refs))
        await self._dump("sent")
        await asyncio.gather(*(site.start(name) for name in _HOMES))
        await site.drained(but=_WAITING)

    async def _last(self) -> None:
        """A link rests while minutes are confirmed, homes refuse for the moment; corrections, and consent renewed."""
        site, cast = self._site, self._cast
        await self._say([cast.broken()], DAY + timedelta(hours=6))
        await self._until("bridge", "SELECT state FROM link WHERE home_ref = $1", cast.torn.home_ref, "broken")
        await self._say([cast.torn.attest(80)], DAY + timedelta(hours=5))
        await self._until("bridge", _TRANSFER, cast.torn.record_ref, "withheld")
        for code in ("gz", "sz"):
            await site.books.misbehave(code, {"refuse": {"reason": "busy", "retry": True, "n": 2}})
        first, *rest = self._rest
        await site.publish(first)
        await self._say([cast.restored(), cast.unheard.renew_consent()], DAY + timedelta(hours=7))
        await asyncio.gather(site.publish([one for part in rest for one in part]), self._dump("last"))
        await self._say(cast.evidenced.presence(), DAY + timedelta(hours=7))

    async def _judged(self) -> None:
        """How all of it ended, in the books of the registries. Then the usual line ends by its timer; the other stays,
        for a service that decides otherwise would give a post to who stands in it."""
        stories = [*self._usual, *self._cast.stories(self.left)]
        checks, self.notes = await judge(self._site.books, stories, self._site.known_aside)
        self.as_planned = all(checks.values())
        async with self._site.stack.postgres.connection("opportunities") as opportunities:
            own = "line:%" + self._cast.first.mark
            done = await opportunities.execute(
                "UPDATE timer SET due = now() WHERE name LIKE 'line:%' AND name NOT LIKE $1", own
            )
        self.notes.append(f"{done} lines ended")
        await self._site.drained()


@contextlib.asynccontextmanager
async def _held(site: Site, database: str, group: str, entry: TopicEntry, key: str) -> AsyncIterator[None]:
    """The partition of this key is not applied by this group: somebody holds its stored offset."""
    number = partition_for(key, entry.partitions)
    sql = "SELECT 1 FROM consumed WHERE grp = $1 AND topic = $2 AND partition = $3 FOR UPDATE"
    async with site.stack.postgres.connection(database) as holder, holder.transaction():
        assert await holder.fetchval(sql, group, entry.name, number), f"{group} does not know {entry.name}/{number}"
        yield
