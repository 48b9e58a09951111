"""Offers, requests, sign-ups and breaks over border and identity, letters overtaking letters: nobody is refused as
not linked while identity still owes an answer about her, and nobody waits for ever."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from contracts.messages import identity, volunteers
from services.bridge.border.requests import LONGEST
from services.bridge.states import LinkUnderWay
from tests.support.bridge_and_identity import AWAIT_FACTS, BorderAndIdentity, offer, request
from tests.support.bridge_messages import HOME, HOST, MINUTE, THIRD, signup
from tests.support.naming import own_id

HOSTS = {HOST: ("G1", "G2"), THIRD: ("F1",)}
HOME_REFS = ("S1", "S2")
hosts = st.sampled_from(sorted(HOSTS))
home_refs = st.sampled_from(HOME_REFS)
words = st.sampled_from(["right", "right", "right", "guess"])
which = st.integers(0, 5)


class TwoServices(RuleBasedStateMachine):
    """Two persons of one home, two hosts. What is owed is kept by message id, beside the border's own counting."""

    @initialize()
    def begin(self) -> None:
        self.linkage = BorderAndIdentity()
        self.owed: defaultdict[tuple[str, str, str], set[UUID]] = defaultdict(set)
        """registry, ref and host → requests without an answer, by the border's own ids"""
        self.asked: dict[str, tuple[str, str, str, datetime]] = {}
        """id of a message that needs a link → registry, ref and host, and when it came"""
        self.broken: dict[str, tuple[str, str, str, datetime]] = {}
        self.ids = 0
        self.seen = 0

    def _id(self, kind: str) -> str:
        self.ids += 1
        return f"{kind}-{self.ids}"

    @rule(host=hosts, own=st.integers(0, 1), home_ref=home_refs, word=words, times=st.sampled_from([1, 1, 1, 6]))
    def a_host_asks(self, host: str, own: int, home_ref: str, word: str, times: int) -> None:
        ref = HOSTS[host][own % len(HOSTS[host])]
        for _ in range(times):
            id = self._id("request")
            for key in ((host, ref, host), (HOME, home_ref, host)):
                self.owed[key].add(own_id(host, id))
            self.linkage.say(host, request(word, ref=ref, home_ref=home_ref), id=id)

    @rule(home_ref=home_refs, host=hosts, lasts=st.sampled_from([1, 20]))
    def a_home_offers(self, home_ref: str, host: str, lasts: int) -> None:
        until = self.linkage.now + lasts * MINUTE
        self.linkage.say(HOME, offer("right", ref=home_ref, host=host, version=self.ids + 1, expires_at=until))

    @rule(home_ref=home_refs, host=hosts)
    def a_home_withdraws_consent(self, home_ref: str, host: str) -> None:
        withdrawn = volunteers.ConsentWithdrawn(volunteer_ref=home_ref, registry=host, version=self.ids + 1)
        self.linkage.say(HOME, withdrawn)

    @rule(host=hosts, own=st.integers(0, 1), home_ref=home_refs, at_home=st.booleans())
    def somebody_signs_up(self, host: str, own: int, home_ref: str, at_home: bool) -> None:
        asker, ref = (HOME, home_ref) if at_home else (host, HOSTS[host][own % len(HOSTS[host])])
        id = self._id("signup")
        self.asked[id] = asker, ref, host, self.linkage.now
        self.linkage.say(asker, signup(ref=ref, host=host), id=id)

    @rule(host=hosts, own=st.integers(0, 1))
    def a_host_breaks(self, host: str, own: int) -> None:
        ref, id = HOSTS[host][own % len(HOSTS[host])], self._id("break")
        self.broken[id] = host, ref, host, self.linkage.now
        self.linkage.say(host, volunteers.LinkBroken(volunteer_ref=ref, registry=HOME, reason="abuse"), id=id)

    @rule(which=which)
    def identity_hears(self, which: int) -> None:
        self.linkage.identity_hears(which)

    @rule(which=which)
    def the_border_hears(self, which: int) -> None:
        self._note(self.linkage.border_hears(which))

    @rule(seconds=st.sampled_from([10, 61, 310]))
    def time_passes(self, seconds: int) -> None:
        self.linkage.pass_time(timedelta(seconds=seconds))

    def _note(self, fact: Any) -> None:
        """An answer, under whatever ref, is of one request."""
        if isinstance(fact, identity.LinkRefused | identity.LinkEstablished) and fact.origin is not None:
            for ids in self.owed.values():
                ids.discard(fact.origin.message)

    @invariant()
    def nobody_is_refused_while_an_answer_about_her_is_owed(self) -> None:
        if not hasattr(self, "linkage"):
            return
        new, self.seen = self.linkage.refusals(self.seen), len(self.linkage.linkage.log.records)
        for refused in new:
            waited = (self.asked | self.broken).get(refused.message_id)
            if waited is None or (refused.reason, refused.pointer) != ("not_linked", "/volunteer_ref"):
                continue
            *key, came = waited
            registry, ref, host = key
            age = self.linkage.now - came
            assert age >= AWAIT_FACTS
            assert age >= LONGEST or not self.owed[registry, ref, host], "an answer was still to come"

    @invariant()
    def the_border_counts_what_is_owed(self) -> None:
        if not hasattr(self, "linkage"):
            return
        rows = {(*row.account, row.host): row.requests for row in self.linkage.at_border(LinkUnderWay)}
        assert rows == {key: len(ids) for key, ids in self.owed.items() if ids}

    def teardown(self) -> None:
        """Everything is heard in the end: every request has its answer, and every message one outcome."""
        if not hasattr(self, "linkage"):
            return
        for span in (timedelta(), 6 * MINUTE, AWAIT_FACTS):
            self.linkage.pass_time(span)
            while self.linkage.on_its_way:
                self.linkage.identity_hears()
                self._note(self.linkage.border_hears())
                self.nobody_is_refused_while_an_answer_about_her_is_owed()
            self.nobody_is_refused_while_an_answer_about_her_is_owed()
        assert not any(self.owed.values())
        assert self.linkage.set_aside == []
        for id in self.asked:
            assert len(self.linkage.outcomes(id)) == 1, id


TestTwoServices = TwoServices.TestCase
TestTwoServices.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
