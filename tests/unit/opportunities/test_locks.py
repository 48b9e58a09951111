"""What is decided at the same time must not meet: the locks that keep it apart."""

from __future__ import annotations

from uuid import UUID, uuid4

from contracts.messages import Message
from services.opportunities.service import REACTIONS
from services.opportunities.states import windows_name
from tests.support.opportunities import close, inbound, project, report, request, shift, withdraw
from tests.support.reacting import first_names


def subject(message: Message) -> str:
    return REACTIONS[type(message)].subject(inbound(message))


def names(message: Message) -> set[str]:
    return first_names(REACTIONS[type(message)], inbound(message))


def test_sign_ups_of_one_shift_share_its_lock_and_a_request_is_judged_under_its_project_too() -> None:
    she, other = uuid4(), uuid4()
    asked, withdrawn, elsewhere = (names(message) for message in (request(she), withdraw(other), request(other, "s2")))
    assert asked & withdrawn == {subject(shift())} == {"shift:gz:p1:s1"}
    assert asked & elsewhere == {subject(project())} == {"project:gz:p1"}


def test_the_lock_of_a_persons_time_sorts_after_all_that_is_locked_before_it_is_known_whose() -> None:
    for message in (project(), shift(), request(uuid4()), withdraw(uuid4()), report(uuid4()), close()):
        first_round = names(message)
        assert max(first_round) < windows_name(UUID(int=0))


def test_a_line_is_closed_under_its_shifts_lock() -> None:
    assert names(close()) == {subject(shift())}


def test_messages_about_one_sign_up_keep_their_order_whoever_sends_them() -> None:
    she = uuid4()
    assert subject(request(she, asker="sz")) == subject(withdraw(she, asker="gz"))
    assert subject(request(she)) != subject(request(she, "s2"))
    assert subject(project()) == "project:gz:p1"
