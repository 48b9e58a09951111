"""The entrance: who somebody is, and the way from one city's pages to the other's."""

from __future__ import annotations

import secrets

from fastapi import Response

from deploy.sandbox.web import accounts, views
from deploy.sandbox.web.site import Site, Visit
from deploy.web.frame import go
from deploy.web.trouble import Forbidden, NotFound

__all__ = ["entrance"]


def entrance(site: Site) -> None:
    """Enter these pages' routes."""
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
    site.get("/welcome", welcome)


# -- sign-in ---------------------------------------------------------------------------------------------------------


async def sign_in_page(visit: Visit, wrong: str | None = None, status: int = 200) -> Response:
    """Whom the visitor of these pages is."""
    if visit.session is None:
        visit.session = await accounts.open_session(visit.site.pool)
    response = visit.page("sign_in.html", status, people=await accounts.listed(visit.site.pool), wrong=wrong)
    visit.site.keep(visit, visit.session.token, response)
    return response


async def sign_in(visit: Visit) -> Response:
    """A number of this registry and the sandbox's passcode."""
    ref, client = visit.text("ref"), visit.request.client
    # Of this account from there: otherwise whoever shares an address with a guesser would be locked out with him.
    who = f"sign-in {client.host if client else ''} {ref}"
    if visit.site.tries.spent(who):
        return await sign_in_page(visit, "too_many_tries", 429)
    if not visit.site.is_passcode(visit.text("passcode")) or await accounts.find(visit.site.pool, ref) is None:
        visit.site.tries.wrong(who)
        return await sign_in_page(visit, "wrong_passcode", 403)
    session = await accounts.sign_in(visit.site.pool, visit.session, ref)
    response = go("/")
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
    """Who gets what, for what, until when; refusing is a link of the same size."""
    visit.of_kind("volunteer")
    return visit.page("consent.html", registry=_neighbour(visit), form=secrets.token_urlsafe(16))


async def agree(visit: Visit) -> Response:
    """She agrees: the offer is made, and the button to the other city's page is hers."""
    account, registry = visit.of_kind("volunteer"), _neighbour(visit)
    offer = await visit.site.desk.offer(account, registry, visit.text("form"))
    return visit.page("carry.html", registry=registry, url=visit.site.neighbours[registry].url, offer=offer)


async def guardian(visit: Visit) -> Response:
    """Her guardian agrees, with the passcode once more: it is the guardian's own word."""
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
    """Sharing goes on."""
    await visit.site.desk.give_consent(visit.of_kind("volunteer").ref, _neighbour(visit))
    return go("/")


async def arrive(visit: Visit) -> Response:
    """From the other city's page: she comes with the code, which is her proof; her account here is made by itself."""
    home, home_ref, code = visit.text("home"), visit.text("ref"), visit.text("code")
    if home not in visit.site.neighbours or not home_ref or len(code) < 22:
        raise NotFound("not_found")
    try:
        ref = await visit.site.desk.visit(home, home_ref, code)
    except ValueError:
        raise NotFound("not_found") from None
    session = await accounts.sign_in(visit.site.pool, visit.session, ref)
    response = go("/welcome")
    visit.site.keep(visit, session.token, response)
    return response


async def welcome(visit: Visit) -> Response:
    """While the home is asked, and once it has answered."""
    account = visit.of_kind("visitor")
    tie = next((tie for tie in await views.ties(visit.site.pool, account.ref)), None)
    return visit.page("_welcome.html" if visit.fragment else "welcome.html", tie=tie)
