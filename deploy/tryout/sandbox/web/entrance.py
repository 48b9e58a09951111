"""The entrance: sign-in, and the way from one city's pages to the other city's."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import secrets
import time
from typing import Final

from fastapi import Response
from pydantic import ValidationError

from contracts.messages.volunteers import LinkRequested
from deploy.tryout.sandbox.web import accounts, arrivals, views
from deploy.tryout.sandbox.web.site import Site, Visit
from deploy.web.frame import go, local
from deploy.web.trouble import Forbidden, NotFound, NotReached, SignInFirst

__all__ = ["entrance"]

_OFFER_LATE: Final = 10.0
"""The seconds by which an offer may come later than its code: people are faster than another city's adapter."""
_LOOKS_EVERY: Final = 0.4


def entrance(site: Site) -> None:
    """Enter the routes of these pages."""
    site.get("/sign-in", sign_in_page)
    site.post("/sign-in", sign_in)
    site.post("/sign-out", sign_out)
    site.post("/language", site.speak)
    site.get("/serve/{registry}", consent_page)
    site.post("/serve/{registry}", agree)
    site.post("/guardian", guardian)
    site.post("/consent/{registry}/withdraw", withdraw)
    site.post("/consent/{registry}/give", agree_again)
    site.post("/visit", arrive, public=True)
    site.get("/visit", ask)
    site.post("/visit/open", it_is_me, public=True)  # she has no session yet: the form carries the arrival's secret
    site.get("/welcome", welcome)


# -- sign-in ---------------------------------------------------------------------------------------------------------


async def sign_in_page(visit: Visit, wrong: str | None = None, status: int = 200) -> Response:
    """Ask who uses these pages. Afterwards she goes on to the page where she was."""
    to = local(visit.text("to") or visit.request.query_params.get("to", "/"))
    if visit.session is None:
        visit.session = await accounts.open_session(visit.site.pool)
    response = visit.page("sign_in.html", status, people=await accounts.listed(visit.site.pool), wrong=wrong, to=to)
    visit.site.keep(visit, visit.session.token, response)
    return response


async def sign_in(visit: Visit) -> Response:
    """Sign in by a number of this registry and the sandbox's passcode."""
    ref = visit.text("ref")
    # Tries are counted by account and address: otherwise all who share an address with a guesser would be locked out
    # with him.
    who = f"sign-in {visit.address} {ref}"
    if visit.site.tries.spent(who):
        return await sign_in_page(visit, "too_many_tries", 429)
    if not visit.site.is_passcode(visit.text("passcode")) or await accounts.find(visit.site.pool, ref) is None:
        visit.site.tries.wrong(who)
        return await sign_in_page(visit, "wrong_passcode", 403)
    session = await accounts.sign_in(visit.site.pool, visit.session, ref)
    response = go(local(visit.text("to")))
    visit.site.keep(visit, session.token, response)
    return response


async def sign_out(visit: Visit) -> Response:
    """The session ends."""
    await accounts.sign_out(visit.site.pool, visit.session)
    response = go("/sign-in")
    visit.site.forget(response)
    return response


# -- consent and link ------------------------------------------------------------------------------------------------


def _neighbour(visit: Visit) -> str:
    code: str = visit.request.path_params["registry"]
    if code not in visit.site.neighbours:
        raise NotFound("not_found")
    return code


async def consent_page(visit: Visit) -> Response:
    """The consent: who gets which data, for what purpose, until when. The link to refuse is as large as the button. If
    consent stands, only the way to the other city. While the linkage does not answer, consent counts that has run
    out."""
    account, registry = visit.of_kind("volunteer"), _neighbour(visit)
    links = await views.links(visit.site.pool, account.ref)
    state = next((link["state"] for link in links if link["registry"] == registry and link["established"]), None)
    over, ran_out = state == "broken", None
    if state and not over:
        with contextlib.suppress(NotReached):
            ran_out = (await visit.site.linkage.ran_out(visit.site.seat.code, account.ref)).get(registry)
        over = ran_out is None and await visit.site.desk.consent_stands(account.ref, registry)
    template, form = "over.html" if over else "consent.html", secrets.token_urlsafe(16)
    return visit.page(template, registry=registry, form=form, state=state, ran_out=ran_out)


async def _ran_out(visit: Visit, ref: str, registry: str) -> int | None:
    """The version of her consent that has expired, as the linkage says. None if it has not.

    Raises ``NotReached``, if consent stands in our books: only the linkage knows whether it has expired.
    """
    try:
        return (await visit.site.linkage.ran_out(visit.site.seat.code, ref)).get(registry)
    except NotReached:
        if await visit.site.desk.consent_stands(ref, registry):
            raise
        return None


async def agree(visit: Visit) -> Response:
    """She agrees, or has agreed: make the offer, and show the button to the other city's page."""
    account, registry = visit.of_kind("volunteer"), _neighbour(visit)
    agreed = visit.text("agreed") == "1"
    ran_out = await _ran_out(visit, account.ref, registry) if agreed else None
    offer = await visit.site.desk.offer(account, registry, visit.text("form"), agreed=agreed, ran_out=ran_out)
    return visit.page("carry.html", registry=registry, url=visit.site.neighbours[registry].url, offer=offer)


async def guardian(visit: Visit) -> Response:
    """Her guardian agrees, with the passcode once more, since it is the guardian's own word."""
    account = visit.of_kind("volunteer")
    if visit.site.tries.spent(account.ref):
        raise Forbidden("too_many_tries")
    if not visit.site.is_passcode(visit.text("passcode")):
        visit.site.tries.wrong(account.ref)
        raise Forbidden("wrong_passcode")
    await visit.site.desk.approve_as_guardian(account.ref)
    return go(f"/serve/{visit.text('registry')}" if visit.text("registry") in visit.site.neighbours else "/")


async def withdraw(visit: Visit) -> Response:
    """Nothing more is shared."""
    await visit.site.desk.withdraw_consent(visit.of_kind("volunteer").ref, _neighbour(visit))
    return go("/")


async def agree_again(visit: Visit) -> Response:
    """Sharing goes on, after she withdrew her consent or after it ran out."""
    ref, registry = visit.of_kind("volunteer").ref, _neighbour(visit)
    await visit.site.desk.give_consent(ref, registry, await _ran_out(visit, ref, registry))
    return go("/")


# -- the other city's page brought her here --------------------------------------------------------------------------


async def arrive(visit: Visit) -> Response:
    """She comes from the other city's page, with a code. Coming signs in nobody: anybody's page could send her here.

    For a bad code nothing is written, and a browser that brings many bad codes must wait.
    """
    home, home_ref, code, site = visit.text("home"), visit.text("ref"), visit.text("code"), visit.site
    who = visit.address
    if site.strangers.spent(who) or site.everybody.spent(""):
        return visit.too_many(site.strangers)
    # The code is counted before it is looked at, so that many codes at the same time count as many.
    site.strangers.wrong(who)
    site.everybody.wrong("")
    stands = None
    try:
        stands = home in site.neighbours and await _stands(visit, home, home_ref, code)
    finally:
        if stands is not False:
            site.strangers.right(who)
            site.everybody.right("")
    if not stands:
        raise NotFound("code_no_good")
    arrival = await arrivals.arrive(site.pool, home, home_ref, code)
    response = go("/visit")
    site.keep_arrival(visit, arrival.token, response)
    return response


async def _stands(visit: Visit, home: str, home_ref: str, code: str) -> bool:
    """Whether the linkage knows the offer. The offer may still be on its way from her home's own system."""
    try:
        message = LinkRequested(volunteer_ref="new", home=home, home_ref=home_ref, code=code)
    except ValidationError:
        return False
    hashed, site = arrivals.code_hash(message.code), visit.site
    until = time.monotonic() + _OFFER_LATE
    while True:
        missed = None
        try:
            async with site.looking:
                if await site.linkage.code_stands(home, home_ref, site.seat.code, hashed):
                    return True
        except NotReached as error:  # a failed question says nothing about the code
            missed = error
        if time.monotonic() > until:
            if missed is not None:
                raise NotReached("code_not_checked") from missed
            return False
        await asyncio.sleep(_LOOKS_EVERY)


async def _arrival(visit: Visit) -> arrivals.Arrival:
    arrival = await arrivals.arrival_of(visit.site.pool, visit.site.arrived_with(visit.request))
    if arrival is None:
        raise NotFound("come_from_home")
    return arrival


async def ask(visit: Visit) -> Response:
    """Name the account that she is about to open, and ask whether it is hers."""
    return visit.page("visit.html", arrival=await _arrival(visit))


async def it_is_me(visit: Visit) -> Response:
    """She confirms on our own page: use the code, for a session of this browser."""
    arrival = await _arrival(visit)
    if not hmac.compare_digest(arrival.csrf.encode(), visit.text("csrf").encode()):
        raise Forbidden("form_is_old")
    await visit.site.desk.visit(arrival)
    if visit.session is not None and visit.session.token != arrival.session:
        await accounts.sign_out(visit.site.pool, visit.session)
    response = go("/welcome")
    visit.site.keep(visit, arrival.session, response)
    return response


async def welcome(visit: Visit) -> Response:
    """The page while the home is asked, and once it has answered."""
    if visit.session is None:
        raise SignInFirst
    answer = await arrivals.answer_of(visit.site.pool, visit.session.token)
    if answer is None:
        raise NotFound("come_from_home")
    return visit.page("_welcome.html" if visit.fragment else "welcome.html", answer=answer)
