"""An operator pauses and resumes a registry at the border, in memory as on PostgreSQL; and the border's own task that
ends a pause once all is applied that the registry said in it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Final

from services.bridge import store
from services.bridge.operate.operating import heard_out
from services.bridge.states import Pause, Transfer
from services.chassis.base.database import Pooled
from tests.support.linkage import Member
from tests.support.memory import Memory

__all__ = ["Seen", "end_pauses", "pause", "resume"]

Seen = dict[tuple[str, datetime], datetime]
"""When a process of the border saw each resumption."""
_WHO: Final = "an operator", "a reason"


async def pause(member: Member, code: str) -> None:
    """From now on nothing of this registry is read, and no credit is sent to it."""
    now, base = member.clock.now(), member.base
    if not isinstance(base, Memory):
        async with Pooled(base.pool) as pooled:
            await store.pause(pooled.db, code, *_WHO, now)
    elif (row := base.rows.get(Pause, code)) is None or row.resumed_at is not None:
        base.rows.put(Pause(code, *_WHO, now))
        base.rows.keep()
    await member.look_at_pauses()


async def resume(member: Member, code: str) -> None:
    """From now on this registry is read again."""
    now, base = member.clock.now(), member.base
    if not isinstance(base, Memory):
        async with Pooled(base.pool) as pooled:
            await store.resume(pooled.db, code, *_WHO, now)
    elif (row := base.rows.get(Pause, code)) is not None and row.resumed_at is None:
        base.rows.put(replace(row, resumed_at=now))
        base.rows.keep()
    await member.look_at_pauses()


async def end_pauses(member: Member, seen: Seen) -> list[str]:
    """One look of the border's task; gives the registries whose pause it ended."""
    now, base = member.clock.now(), member.base
    if isinstance(base, Memory):
        resumed = [(row.registry, row.resumed_at) for row in base.rows.all_of(Pause) if row.resumed_at is not None]
    else:
        async with Pooled(base.pool) as pooled:
            resumed = await store.resuming(pooled.db)
    ended = heard_out(seen, resumed, member.heard_to, now)
    for code, resumed_at in ended:
        if isinstance(base, Memory):
            _end_pause(base, code, now)
        else:
            async with Pooled(base.pool) as pooled:
                await store.end_pause(pooled.db, code, resumed_at, now)
    return [code for code, _ in ended]


def _end_pause(memory: Memory, code: str, now: datetime) -> None:
    """As ``store.end_pause`` says it."""
    row = memory.rows.get(Pause, code)
    assert row is not None
    memory.rows.drop(row)
    memory.rows.keep()
    for transfer in memory.rows.all_of(Transfer):
        if (transfer.home, transfer.state, transfer.reason) == (code, "queued", "registry_paused"):
            name = f"transfer:{transfer.id}"
            if name in memory.timers and memory.timers[name][0] > now:
                memory.timers[name] = now, memory.timers[name][1]
