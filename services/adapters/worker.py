"""The caller: several volunteers at a time, one call per volunteer, every attempt committed before it is made."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta

from contracts.messages import Message
from contracts.registry import Registry
from services.adapters import rules
from services.adapters.kinds.systems import System, SystemAway
from services.adapters.parts import Part
from services.adapters.states import Away, Credit, Lost, Outcome
from services.adapters.store import Calls
from services.chassis.base.database import Pool, describe
from services.chassis.base.failpoints import failpoint
from services.chassis.base.failures import blames_nobody
from services.chassis.base.logs import log
from services.chassis.base.polling import Polling

__all__ = ["IN_FLIGHT", "Caller", "Messenger"]

IN_FLIGHT = 16
_LONGEST_INTERVAL = 0.5
"""Seconds at most until rows are seen that became due by time, or that another instance wrote."""
_LOOK_SECONDS = 0.1
"""Seconds at most until a further volunteer's credit is called while other calls are under way."""
_GATHER_SECONDS = 0.005
_NOTICES = 500
_LONGEST_WAIT = timedelta(seconds=30)


class Caller:
    """Takes credits to the registry's ledger and its answers back."""

    def __init__(
        self,
        pool: Pool,
        system: System,
        registry: Registry,
        now: Callable[[], datetime],
        wake: asyncio.Event | None = None,
        part: Part | None = None,
    ) -> None:
        self._pool = pool
        self._part = part or Part("calls")
        self._system = system
        self._registry = registry
        self._now = now
        self._calls = Calls(pool, registry.code)
        self._flights: dict[asyncio.Task[Outcome], Credit] = {}
        self._polling = Polling(_LONGEST_INTERVAL, wake)

    async def session(self) -> None:
        """Call until cancelled or the database is lost. For the next session, calls under way then are unknown."""
        async with self._pool.acquire() as leader:  # the advisory lock ends when the connection is given back
            await self._calls.lead(leader, self._stand_by)
            await self._calls.recover(self._now())
            try:
                while not leader.is_closed():
                    await self._turn()
                    self._part.interrupted.over()
            finally:
                for flight in self._flights:
                    flight.cancel()
                await asyncio.gather(*self._flights, return_exceptions=True)
                self._flights.clear()

    async def _stand_by(self) -> None:
        self._part.interrupted.over()

    async def _turn(self) -> None:
        done = [flight for flight in self._flights if flight.done()]
        landed = [(self._flights.pop(flight), flight.result()) for flight in done]
        room = 0 if self._part.backoff.left else IN_FLIGHT - len(self._flights)
        busy = {credit.volunteer_ref for credit in self._flights.values()}
        for credit in await self._saved(landed, room, busy):
            self._flights[asyncio.create_task(self._call(credit))] = credit
        if self._flights or landed:
            self._polling.found()
        if self._flights:
            await asyncio.wait(self._flights, timeout=_LOOK_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            # Other calls end meanwhile and share the transaction: half the work for a few milliseconds.
            await asyncio.wait(self._flights, timeout=_GATHER_SECONDS)
        elif not landed:
            await self._polling.wait()

    async def _saved(self, landed: Sequence[tuple[Credit, Outcome]], room: int, busy: Collection[str]) -> list[Credit]:
        try:
            return await self._calls.turn(landed, self._after_call, room, busy, self._now())
        except Exception as error:
            if blames_nobody(error) or not landed:
                raise
        # One of the results cannot be saved, and the others must not wait for it.
        for credit, outcome in landed:
            await self._save_alone(credit, outcome)
        return []

    async def _save_alone(self, credit: Credit, outcome: Outcome) -> None:
        try:
            await self._calls.turn([(credit, outcome)], self._after_call, 0, (), self._now())
        except Exception as error:
            if blames_nobody(error):
                raise
            log().error("answer not kept", detail=describe(error), attempt=credit.attempts + 1)
            now = self._now()
            await self._calls.leave(credit, f"its answer was not kept: {describe(error)}", now, now + _LONGEST_WAIT)

    def _after_call(self, credit: Credit, outcome: Outcome) -> tuple[Credit, tuple[Message, ...]]:
        try:
            return rules.after_call(credit, outcome, self._registry, self._now())
        except Exception as error:
            # The registry may have posted the credit. An answer that cannot be understood is like a lost one.
            log().error("answer not understood", detail=describe(error), attempt=credit.attempts + 1)
            lost = Lost(f"an answer that cannot be understood: {describe(error)}")
            return rules.after_call(credit, lost, self._registry, self._now())

    async def _call(self, credit: Credit) -> Outcome:
        try:
            return await self._outcome(credit)
        except Exception as error:
            log().error("call failed", detail=describe(error), attempt=credit.attempts + 1)
            return Lost(f"a call that failed: {describe(error)}")

    async def _outcome(self, credit: Credit) -> Outcome:
        step = rules.next_step(credit, self._registry.capability)
        if step == "give_up":
            return Lost("this system can neither be asked nor called twice")
        failpoint("P6")
        outcome = await (self._system.post(credit) if step == "post" else self._system.ask(credit))
        failpoint("P7")
        if isinstance(outcome, Away):
            self._part.takes_nothing(outcome.detail, outcome.seconds)
        else:
            self._part.answers()
        if isinstance(outcome, Lost):
            log().warning("answer lost", detail=rules.one_line(outcome.detail), attempt=credit.attempts + 1)
        return outcome


class Messenger:
    """Passes notices on in batches, in order, until the system takes them."""

    def __init__(
        self,
        pool: Pool,
        system: System,
        registry: str,
        now: Callable[[], datetime],
        wake: asyncio.Event | None = None,
        part: Part | None = None,
    ) -> None:
        self._system = system
        self._calls = Calls(pool, registry)
        self._now = now
        self._part = part or Part("notices")
        self._polling = Polling(_LONGEST_INTERVAL, wake)

    async def session(self) -> None:
        """Pass on until cancelled or the database is lost."""
        while True:
            # While the system is left in peace, notices that failed before wait, and new notices do not.
            notices = await self._calls.notices(_NOTICES, self._now(), again=not self._part.backoff.left)
            if not notices:
                self._part.interrupted.over()
                await self._polling.wait()
                continue
            self._polling.found()
            try:
                outcomes = await self._system.tell(notices)
            except SystemAway as error:
                self._part.interrupted.over()
                self._part.takes_nothing(str(error), error.seconds)
                await self._part.backoff.wait()
                continue
            for line, reasons in (("notice rejected", outcomes.rejected), ("notice postponed", outcomes.failed)):
                for reason in reasons.values():
                    log().error(line, detail=rules.one_line(reason))
            await self._calls.passed_on(outcomes, self._now())
            self._part.interrupted.over()
            if outcomes.taken or outcomes.rejected:
                self._part.answers()
                continue
            self._part.takes_nothing("it fails over whatever it is told")
            if any(notice.tries == 0 for notice in notices):
                await self._part.backoff.wait()
