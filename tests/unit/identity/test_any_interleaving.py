"""Whatever comes, in whatever order and however often: what must hold of persons, links and answers."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal
from uuid import UUID

from hypothesis import example, given, settings
from hypothesis import strategies as st

from contracts.messages import Message
from contracts.messages.identity import LinkEstablished, LinkRefused, OfferLink, RequestLink
from services.identity.states import Account, ConsentState, Link, Request
from tests.support.identity import MINUTE, T0, World, hash_of

HOMES = (("sz", "S1"), ("sz", "S2"), ("gz", "G1"))
HOSTS = (("gz", "G1"), ("gz", "G2"), ("hz", "H1"))


@dataclass(frozen=True)
class Step:
    kind: Literal["offer", "request", "give", "withdraw", "break", "restore", "wait"]
    home: tuple[str, str] = HOMES[0]
    host: tuple[str, str] = HOSTS[0]
    code: str = "a"
    minute: int = 0
    lasts: int = 10
    version: int = 1


steps = st.builds(
    Step,
    kind=st.sampled_from(
        ["offer"] * 4 + ["request"] * 4 + ["withdraw"] + ["give", "withdraw", "break", "restore", "wait"]
    ),
    home=st.sampled_from(HOMES),
    host=st.sampled_from(HOSTS),
    code=st.sampled_from("aaab"),
    minute=st.integers(0, 12),
    lasts=st.sampled_from([0, 3, 20, 20, 20]),
    version=st.integers(1, 3),
)


def command(world: World, step: Step) -> Message:
    home, home_ref = step.home
    host, host_ref = step.host
    if step.kind == "offer":
        until = T0 + (step.minute + step.lasts) * MINUTE
        return world.offer(step.code, home=home, home_ref=home_ref, host=host, version=step.version, expires_at=until)
    if step.kind == "request":
        return world.request(step.code, host_ref, home=home, home_ref=home_ref, host=host)
    if step.kind == "give":
        return world.give(step.version, host=host)
    if step.kind == "withdraw":
        return world.withdraw(step.version, host=host)
    return world.break_it("sz") if step.kind == "break" else world.restore("sz")


class Watch:
    """Keeps what was said, and checks every fact against it, by means of its own."""

    def __init__(self) -> None:
        self.world = World()
        self.offers: list[tuple[OfferLink, timedelta]] = []
        self.requests: dict[UUID, tuple[RequestLink, timedelta]] = {}
        self.withdrawn: set[tuple[str, int]] = set()
        self.persons: dict[tuple[str, str], UUID] = {}
        self.linked: dict[tuple[UUID, str], str] = {}
        self.versions: defaultdict[tuple[UUID, str], list[Message]] = defaultdict(list)
        self.refused: Counter[UUID] = Counter()
        self.established: Counter[UUID] = Counter()

    def take(self, step: Step) -> None:
        if step.kind == "wait":
            self.check(self.world.pass_time(step.minute * MINUTE))
            return
        said, moment = command(self.world, step), step.minute * MINUTE
        if isinstance(said, OfferLink):
            self.offers.append((said, moment))
        if isinstance(said, RequestLink):
            self.requests[said.origin.message] = said, moment
        if step.kind == "withdraw":
            self.withdrawn.add((step.host[0], step.version))
        self.check(self.world.take(said, at=T0 + moment))

    def check(self, facts: list[Message]) -> None:
        for fact in facts:
            head = fact.model_dump()
            home = head["home"], head["home_ref"]
            if home in self.accounts():  # else nobody has ever offered her
                assert self.persons.setdefault(home, head["person"]) == head["person"]
            if isinstance(fact, LinkEstablished):
                self.check_link(fact)
            if isinstance(fact, LinkRefused):
                self.refused[fact.origin.message] += 1
            if "link_version" in head:
                self.check_version(fact, head["link_version"])

    def check_link(self, fact: LinkEstablished) -> None:
        key = fact.person, fact.host
        if fact.origin is not None:
            self.established[fact.origin.message] += 1
        [kept] = [row for row in self.world.rows(ConsentState) if (row.person, row.host) == key]
        assert kept.consent == fact.consent
        withdrawn = [version for (host, version) in self.withdrawn if fact.home_ref == "S1" and fact.host == host]
        assert all(fact.consent.version > version for version in withdrawn)
        if key in self.linked:
            assert self.linked[key] == fact.host_ref
            return
        guests = {(host, ref) for (_, host), ref in self.linked.items()}
        assert (fact.host, fact.host_ref) not in guests, "a host account of two persons"
        assert (fact.home, fact.home_ref) not in guests, "a guest's account became a home"
        self.linked[key] = fact.host_ref
        assert any(
            request.code_hash == offer.code_hash and T0 + asked < offer.expires_at
            for request, asked in self.requests.values()
            for offer, _ in self.offers
            if (request.home_ref, request.host, request.host_ref) == (fact.home_ref, fact.host, fact.host_ref)
            and (offer.home_ref, offer.host) == (fact.home_ref, fact.host)
        )

    def check_version(self, fact: Message, version: int) -> None:
        earlier = self.versions[(fact.person, fact.host)]  # type: ignore[attr-defined]
        last = earlier[-1] if earlier else None
        if last is not None and last.link_version == version:  # type: ignore[attr-defined]
            assert isinstance(fact, LinkEstablished)
        else:
            assert version == (1 if last is None else last.link_version + 1)  # type: ignore[attr-defined]
        earlier.append(fact)

    def check_end(self) -> None:
        self.check(self.world.pass_time(5 * MINUTE))
        assert self.world.timers == {}
        assert self.world.rows(Request) == []
        for message_id in self.requests:
            assert self.refused[message_id] + self.established[message_id] == 1
        persons = list(self.accounts().values())
        assert len(set(persons)) == len(persons)
        links = self.world.rows(Link)
        assert {(link.person, link.host): link.host_ref for link in links} == self.linked

    def accounts(self) -> dict[tuple[str, str], UUID]:
        return {(account.home, account.home_ref): account.person for account in self.world.rows(Account)}


@settings(max_examples=300, deadline=None)
@given(st.lists(steps, max_size=25))
@example([Step("offer"), Step("request"), Step("offer", HOMES[2], HOSTS[2]), Step("request", HOMES[2], HOSTS[2])])
@example([Step("offer"), Step("request"), Step("offer", HOMES[1]), Step("request", HOMES[1])])
@example([Step("request"), Step("request", HOMES[1]), Step("offer"), Step("offer", HOMES[1])])
@example([Step("offer"), Step("withdraw"), Step("request"), Step("give", version=2)])
@example([Step("offer", version=2), Step("withdraw", version=2), Step("give"), Step("request")])
def test_one_person_an_account_one_link_a_host_and_one_answer_a_request(story: list[Step]) -> None:
    watch = Watch()
    for step in story:
        watch.take(step)
    watch.check_end()


@settings(max_examples=100, deadline=None)
@given(st.permutations(["offer", "request", "request", "give"]), st.booleans())
def test_offer_request_and_consent_in_any_order_and_repeated_make_one_link(order: list[str], twice: bool) -> None:
    world = World()
    for kind in order * (2 if twice else 1):
        world.take(world.offer() if kind == "offer" else world.request() if kind == "request" else world.give(1))
    established = [fact for fact in world.told if isinstance(fact, LinkEstablished)]
    assert not any(isinstance(fact, LinkRefused) for fact in world.told)
    assert {(fact.host_ref, fact.person) for fact in established} == {("G1", established[0].person)}
    [link] = world.rows(Link)
    assert (link.person, link.host) == (established[0].person, "gz")
    assert link.code_hash == hash_of("code")
    assert world.timers == {}
