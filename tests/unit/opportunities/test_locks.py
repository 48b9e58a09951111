"""What is decided at the same time must not meet: the locks that keep it apart."""

from __future__ import annotations

from uuid import uuid4

from services.opportunities.service import locks, subject
from tests.support.opportunities import inbound, project, report, request, shift, withdraw


def test_sign_ups_of_one_person_share_her_lock_and_those_of_one_shift_the_shifts() -> None:
    she, other = uuid4(), uuid4()
    one, elsewhere, reported = (set(locks(inbound(asked))) for asked in (request(she), request(she, "s2"), report(she)))
    assert one & elsewhere == one & reported == {f"person:{she}"}
    assert one & set(locks(inbound(request(other)))) == {"shift:gz:p1:s1"}
    assert set(locks(inbound(withdraw(other)))) == {subject(inbound(shift()))} == {"shift:gz:p1:s1"}


def test_messages_about_one_sign_up_keep_their_order_whoever_sends_them() -> None:
    she = uuid4()
    assert subject(inbound(request(she, asker="sz"))) == subject(inbound(withdraw(she, asker="gz")))
    assert subject(inbound(request(she))) != subject(inbound(request(she, "s2")))
    assert subject(inbound(project())) == "project:gz:p1"
