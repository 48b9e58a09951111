"""The adapter and the registry of the kind ``rest_api`` were written apart: do they mean the same by their words?"""

from __future__ import annotations

import uuid
from dataclasses import asdict, replace

import orjson
import pytest

from contracts.messages import Message, volunteers
from deploy.tryout.sandbox.kafka_native.letters import letter as as_kafka_reads_it
from deploy.tryout.sandbox.rest_api.forms import Unreadable, read_letter
from services.adapters import rules
from services.adapters.kinds.asked import Quiet
from services.adapters.kinds.credentials import Credentials
from services.adapters.kinds.rest_api import told as rest_api_told
from services.adapters.kinds.rest_api.client import RestApi
from services.adapters.kinds.rest_api.words import CATEGORIES
from services.adapters.kinds.systems import SystemAway
from services.adapters.service import _reactions
from services.adapters.states import Notice
from services.chassis.decisions import Inbound, States
from tests.support.registries import MORNING, one_of_each, own, seat, told


def notice_of(message: Message, *, is_own: bool) -> tuple[Notice, Inbound]:
    event = own("sz", message) if is_own else told(message)
    inbound = Inbound(event, "topic", uuid.uuid4(), MORNING)
    (notice,) = rules.pass_on(States(), inbound, MORNING, seat("idempotent")).changes
    return notice, inbound


@pytest.mark.parametrize(("message", "is_own"), one_of_each(), ids=lambda value: getattr(value, "TYPE", str(value)))
def test_a_message_means_the_same_over_http_as_over_kafka(message: Message, is_own: bool) -> None:
    notice, inbound = notice_of(message, is_own=is_own)
    over_http = read_letter(orjson.loads(orjson.dumps(rest_api_told.letter(notice))), own=is_own)
    over_kafka = as_kafka_reads_it(inbound.event, own=is_own)

    assert over_http.entry == over_kafka.entry
    assert (over_http.source, over_http.id, over_http.ref) == (over_kafka.source, over_kafka.id, over_kafka.ref)
    assert over_http.at == over_kafka.at


def test_every_message_that_is_passed_on_has_a_word_unless_a_registry_may_leave_it_unread() -> None:
    passed_on = {
        message
        for message, reaction in _reactions("sz").items()
        if reaction.decide in (rules.pass_on, rules.change_consent)
    }
    assert {message for message in passed_on if not message.OPTIONAL} <= set(CATEGORIES) <= passed_on
    assert len(set(CATEGORIES.values())) == len(CATEGORIES)


async def test_what_has_no_word_is_not_told_and_does_not_wait() -> None:
    notice, _ = notice_of(one_of_each()[0][0], is_own=True)
    wordless = replace(notice, type="shuangcheng.signups.a_new_word.v1")
    # Nobody listens there: whatever is told would be an error.
    system = RestApi("http://127.0.0.1:1", "sz", Quiet(), Credentials())
    assert (await system.tell([wordless])).taken == {wordless.id}
    with pytest.raises(SystemAway):
        await system.tell([notice, wordless])
    await system.close()


def test_a_one_time_code_is_neither_kept_nor_passed_on() -> None:
    for message, is_own in one_of_each():
        if isinstance(message, volunteers.LinkOffered | volunteers.LinkRequested):
            secret = message.code if isinstance(message, volunteers.LinkRequested) else message.code_hash
            notice, _ = notice_of(message, is_own=is_own)
            assert secret.encode() not in orjson.dumps(asdict(notice))
            assert secret.encode() not in orjson.dumps(rest_api_told.letter(notice))


def test_a_letter_of_an_unknown_category_is_named_and_not_guessed() -> None:
    notice, _ = notice_of(one_of_each()[0][0], is_own=True)
    with pytest.raises(Unreadable, match="没有类别"):
        read_letter(rest_api_told.letter(notice) | {"类别": "贺卡"}, own=True)


def test_a_letter_that_lacks_a_field_is_refused_with_its_place() -> None:
    notice, _ = notice_of(one_of_each()[6][0], is_own=True)
    form = rest_api_told.letter(notice)
    del form["内容"]["版本"]
    with pytest.raises(Unreadable, match="version"):
        read_letter(form, own=True)
