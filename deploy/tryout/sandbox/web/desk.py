"""Turns acts of people on the pages into messages of the registry: each once, however often a button is pressed.

The id of each message follows from its content (a shift and her number, a record and its version). So a double click,
the back button or two windows say it once: the books take an id once, and only a message that they take is sent.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, TypeAlias

from contracts.envelope import Event
from contracts.messages import Message, service, signups, volunteers
from contracts.messages.base import AgeBand, Consent
from contracts.topics import registry_source
from deploy.tryout.sandbox.database import Connection, Pool
from deploy.tryout.sandbox.web.accounts import Account
from deploy.tryout.sandbox.web.arrivals import Arrival, open_with
from deploy.tryout.sandbox.web.offered import Attest
from deploy.tryout.sandbox.web.views import Place, signup_at, stay_of, times_asked
from deploy.tryout.sandbox.web.voice import Voice
from deploy.web.trouble import NotPossible

__all__ = ["STANDS", "Desk", "Offer", "Window"]

_OFFER_STANDS: Final = timedelta(minutes=30)
_CONSENT_STANDS: Final = timedelta(days=365)
# The version that the linkage told last, or that she offered. These books may have been set back to a copy, so the
# linkage may know higher versions: the refusal of a stale consent says so.
_CONSENT = """
SELECT state, greatest(version, (SELECT max(standing_version) FROM refusal JOIN sent ON sent.id = refusal.message_id
                                 WHERE sent.ref = $1)) AS version FROM (
    SELECT state, version FROM consent WHERE ref = $1 AND registry = $2
    UNION ALL SELECT 'given', consent_version FROM offer WHERE ref = $1 AND registry = $2
) AS each_one ORDER BY each_one.version DESC, state DESC LIMIT 1
"""
_LINK_AT_HOME = "SELECT state FROM link WHERE (ref, registry) = ($1, $2) AND role = 'home' AND established"
_BUSY = """
SELECT 1 FROM signup WHERE ref = $1 AND state IN ('confirmed', 'promoted', 'waitlisted', 'reported')
AND starts_at < $3 AND $2 < ends_at LIMIT 1
"""
_LINKED = "SELECT 1 FROM link WHERE ref = $1 AND established LIMIT 1"
STANDS: Final = ("requested", "confirmed", "waitlisted", "promoted", "reported")
"""States of a sign-up with which she has a post, or may have one soon."""

Window: TypeAlias = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Offer:
    """The offer that she takes to the other registry's page. Whoever has the code controls both accounts (rule 80)."""

    registry: str
    code: str
    expires_at: datetime
    linked: bool
    """Whether it opens an account that she has there already."""


def _short(*parts: object) -> str:
    return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()[:20]


class Desk:
    """Acts in the name of registry ``code``. Each method is one transaction, or raises ``NotPossible``."""

    def __init__(self, code: str, pool: Pool, voice: Voice) -> None:
        self.code = code
        self._pool = pool
        self._voice = voice

    # -- links and consent -------------------------------------------------------------------------------------

    async def consent_stands(self, ref: str, registry: str) -> bool:
        """Whether her consent with ``registry`` stands, as far as we know."""
        known = await self._pool.fetchrow(_CONSENT, ref, registry)
        return known is not None and known["state"] == "given"

    async def offer(
        self, account: Account, registry: str, form: str, *, agreed: bool = False, ran_out: int | None = None
    ) -> Offer:
        """A code to take along. The same form gives the same code.

        By her first offer she agrees that her service at the other registry is credited at home. Once she is linked,
        the code opens the account that she has, and leaves consent as it is: consent that was withdrawn or has
        ``ran_out`` (see ``give_consent``) is given again only if she has ``agreed`` to that.
        """
        if account.minor and not account.guardian_approved:
            raise NotPossible("guardian_first")
        now = datetime.now(UTC)
        async with self._pool.acquire() as connection, connection.transaction():
            known = await connection.fetchrow(_CONSENT, account.ref, registry)
            linked = await connection.fetchrow(_LINK_AT_HOME, account.ref, registry)
            if linked is not None:
                await self._renew(connection, account.ref, registry, linked["state"], known, agreed, ran_out)
            await connection.execute(
                "INSERT INTO offer (form, ref, registry, code, consent_version, expires_at) "
                "VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
                form,
                account.ref,
                registry,
                secrets.token_urlsafe(32),
                1 if known is None else known["version"] if linked is not None else known["version"] + 1,
                now + _OFFER_STANDS,
            )
            row = await connection.fetchrow("SELECT * FROM offer WHERE form = $1", form)
            if row is None or (row["ref"], row["registry"]) != (account.ref, registry):
                raise NotPossible("form_is_old")
            message = volunteers.LinkOffered(
                volunteer_ref=account.ref,
                for_registry=registry,
                code_hash=hashlib.sha256(row["code"].encode()).hexdigest(),
                age_band=AgeBand(account.age_band or "adult"),
                guardian_approved=account.guardian_approved,
                consent=None if linked is not None else _consent(row["consent_version"], now),
                expires_at=row["expires_at"],
            )
            await self._say(connection, f"offer-{_short(form)}", message, now)
        self._voice.wake()
        return Offer(registry, row["code"], row["expires_at"], linked is not None)

    async def _renew(
        self, connection: Connection, ref: str, registry: str, state: str, known: Any, agreed: bool, ran_out: int | None
    ) -> None:
        """She goes to the other registry again. The link must hold, and consent must stand or be given now."""
        if state == "broken":
            raise NotPossible("reason_link_broken")
        if known is None or known["state"] != "given" or ran_out is not None:
            if not agreed:
                raise NotPossible("agree_first")
            await self._give(connection, ref, registry, _next(known, ran_out))

    async def visit(self, arrival: Arrival) -> None:
        """She says that the code is hers. There is no account before the linkage says which account is hers.

        The number under which the linkage is asked follows from the code. So another code for the same number at home
        asks for another account. Raises ``NotPossible`` if the code was used before.
        """
        ref, name = f"{self.code}-v-{_short('visit', arrival.code)}", f"visit-{_short(arrival.code)}"
        message = volunteers.LinkRequested(
            volunteer_ref=ref, home=arrival.home, home_ref=arrival.home_ref, code=arrival.code
        )
        async with self._pool.acquire() as connection, connection.transaction():
            first = await open_with(connection, arrival, f"web-{name}", ref)
            if first is None:
                raise NotPossible("code_used")
            if first:
                await self._say(connection, name, message)
        self._voice.wake()

    async def withdraw_consent(self, ref: str, registry: str) -> None:
        """From now on nothing more is shared with ``registry`` (rule 40)."""
        async with self._pool.acquire() as connection, connection.transaction():
            known = await connection.fetchrow(_CONSENT, ref, registry)
            if known is None or known["state"] != "given":
                raise NotPossible("no_consent")
            message = volunteers.ConsentWithdrawn(volunteer_ref=ref, registry=registry, version=known["version"])
            await self._say(connection, f"withdraw-{_short(ref, registry, known['version'])}", message)
        self._voice.wake()

    async def give_consent(self, ref: str, registry: str, ran_out: int | None = None) -> None:
        """Sharing is allowed again: withheld transfers go home.

        ``ran_out``: the version of her consent that has expired, as the linkage says. Our books do not tell it from
        consent that stands.
        """
        async with self._pool.acquire() as connection, connection.transaction():
            known = await connection.fetchrow(_CONSENT, ref, registry)
            if ran_out is None and (known is None or known["state"] != "withdrawn"):
                raise NotPossible("consent_stands")
            await self._give(connection, ref, registry, _next(known, ran_out))
        self._voice.wake()

    async def _give(self, connection: Connection, ref: str, registry: str, version: int) -> None:
        now = datetime.now(UTC)
        message = volunteers.ConsentGiven(volunteer_ref=ref, registry=registry, consent=_consent(version, now))
        await self._say(connection, f"consent-{_short(ref, registry, version)}", message, now)

    async def approve_as_guardian(self, ref: str) -> None:
        """Her guardian agrees. Nothing is sent yet: her next offer carries it."""
        await self._pool.execute("UPDATE account SET guardian_approved = true WHERE ref = $1", ref)

    # -- sign-ups ----------------------------------------------------------------------------------------------

    async def join(self, account: Account, place: Place, window: Window) -> None:
        """Ask for a post. While a request stands, no other request is made. ``window`` is the shift's begin and end.

        We sign up our own volunteers to our own shifts by ourselves. Then the linkage hears only that she is busy in
        this window.
        """
        ref = account.ref
        async with self._pool.acquire() as connection, connection.transaction():
            known = await signup_at(connection, ref, place)
            if known is not None and known["state"] in STANDS:
                return
            signup_ref = f"{self.code}-s-{_short(ref, *place, await times_asked(connection, ref, place))}"
            names = _names(signup_ref, ref, place)
            if place[0] == self.code and account.kind == "volunteer":
                if await connection.fetchval(_BUSY, ref, *window):
                    raise NotPossible("reason_clash")
                if not await connection.fetchval(_LINKED, ref):
                    raise NotPossible("local_only")
                await self._say(connection, signup_ref, _reported(names, window))
            else:
                await self._say(connection, signup_ref, signups.SignupRequested(**names))
        self._voice.wake()

    async def leave(self, account: Account, place: Place, window: Window) -> None:
        """Give back a post, or a place in the waitlist, until the shift begins."""
        if window[0] <= datetime.now(UTC):
            raise NotPossible("reason_shift_started")
        async with self._pool.acquire() as connection, connection.transaction():
            known = await signup_at(connection, account.ref, place)
            if known is None or known["state"] not in STANDS:
                raise NotPossible("no_signup")
            names = _names(known["signup_ref"], account.ref, place)
            local = place[0] == self.code and account.kind == "volunteer"
            message = _reported(names, window, "withdrawn") if local else signups.SignupWithdrawn(**names)
            await self._say(connection, f"leave-{names['signup_ref']}", message)
        self._voice.wake()

    # -- service -----------------------------------------------------------------------------------------------

    async def is_there(self, ref: str, project_ref: str, shift_ref: str, *, leaves: bool) -> None:
        """Check her in, or out if she ``leaves``: then she must be here. Who is here is not checked in again."""
        now = datetime.now(UTC)
        kind = service.CheckedOut if leaves else service.CheckedIn
        message = kind(volunteer_ref=ref, project_ref=project_ref, shift_ref=shift_ref, at=now, method="scan")
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", f"presence:{ref}")
            stay = await stay_of(connection, ref, project_ref, shift_ref)
            if leaves and stay.came_at is None:
                raise NotPossible("not_checked_in")
            if leaves or stay.came_at is None:
                name = _short(ref, project_ref, shift_ref, stay.number)
                await self._say(connection, f"{'out' if leaves else 'in'}-{name}", message, now)
        self._voice.wake()

    async def attest(self, organiser: str, project_ref: str, shift_ref: str, said: Sequence[Attest]) -> int:
        """Attest, correct or take back service records of a shift. Gives how many versions were new.

        A version that was attested already stays as it was attested first.
        """
        new = 0
        async with self._pool.acquire() as connection, connection.transaction():
            for one in said:
                day = service.shanghai_day(one.started_at)
                record_ref = one.record_ref or f"{self.code}-r-{_short(one.volunteer_ref, project_ref, shift_ref, day)}"
                version = one.version + 1
                message = service.ServiceAttested(
                    record_ref=record_ref,
                    version=version,
                    volunteer_ref=one.volunteer_ref,
                    project_ref=project_ref,
                    shift_ref=shift_ref,
                    started_at=one.started_at,
                    ended_at=one.ended_at,
                    evidence_class=one.evidence_class,
                    revoked=one.revoked,
                    reason_code=None if version == 1 else "retract" if one.revoked else "correction",
                    attested_by=organiser,
                )
                new += await self._say(connection, f"attest-{record_ref}-{version}", message)
        self._voice.wake()
        return new

    async def _say(self, connection: Connection, name: str, message: Message, now: datetime | None = None) -> bool:
        event = Event(f"web-{name}", registry_source(self.code), now or datetime.now(UTC), message)
        return await self._voice.say(connection, event)


def _names(signup_ref: str, ref: str, place: Place) -> dict[str, Any]:
    host, project_ref, shift_ref = place
    return {
        "signup_ref": signup_ref,
        "volunteer_ref": ref,
        "host": host,
        "project_ref": project_ref,
        "shift_ref": shift_ref,
    }


def _reported(
    names: dict[str, Any], window: Window, state: Literal["active", "withdrawn"] = "active"
) -> signups.SignupReported:
    return signups.SignupReported(**names, starts_at=window[0], ends_at=window[1], state=state)


def _next(known: Any, ran_out: int | None) -> int:
    """The version under which consent is given again."""
    return max(0 if known is None else known["version"], ran_out or 0) + 1


def _consent(version: int, now: datetime) -> Consent:
    fields: dict[str, Any] = {"version": version, "given_at": now, "valid_until": now + _CONSENT_STANDS}
    return Consent(**fields)
