"""The hand-written weekend: valid, of people without names, and what the issue tells of it."""

from __future__ import annotations

import json
import re
from hashlib import sha256

from contracts.messages import Message, service, volunteers
from contracts.messages.base import AgeBand
from deploy.tryout.demo.play import WEEKEND, XIA, weekend


def _said(kind: type[Message]) -> list[Message]:
    return [letter.event.data for letter in weekend() if isinstance(letter.event.data, kind)]


def test_every_line_is_in_the_contract_and_belongs_to_a_registry() -> None:
    letters = weekend()
    assert len(letters) == len(WEEKEND.read_text("utf-8").splitlines())
    assert {letter.topic.split(".")[1] for letter in letters} == {"gz", "sz"}


def test_each_code_brought_along_fits_the_offer_made_for_it() -> None:
    offered = {(one.volunteer_ref, one.code_hash) for one in _said(volunteers.LinkOffered)}  # type: ignore[attr-defined]
    asked = {
        (one.home_ref, sha256(one.code.encode()).hexdigest())  # type: ignore[attr-defined]
        for one in _said(volunteers.LinkRequested)
    }
    assert offered == asked
    assert len(asked) == 2


def test_the_pupil_from_shenzhen_has_her_guardians_approval() -> None:
    (offer,) = [one for one in _said(volunteers.LinkOffered) if one.key == XIA[1]]
    assert isinstance(offer, volunteers.LinkOffered)
    assert (offer.age_band, offer.guardian_approved, offer.for_registry) == (AgeBand.FROM_16, True, "gz")


def test_one_record_is_corrected_and_one_has_no_check_in() -> None:
    records = [one for one in _said(service.ServiceAttested) if isinstance(one, service.ServiceAttested)]
    assert [one.record_ref for one in records if one.version == 2] == ["gz-r-0827-008"]
    came = {(one.volunteer_ref, one.shift_ref) for one in _said(service.CheckedIn)}  # type: ignore[attr-defined]
    assert [one.record_ref for one in records if (one.volunteer_ref, one.shift_ref) not in came] == ["sz-r-0826-114"]


def test_no_name_phone_or_document_number_stands_in_it() -> None:
    text = WEEKEND.read_text("utf-8")
    assert "夏小雨" not in text
    for line in text.splitlines():
        body = json.dumps(json.loads(line)["data"], ensure_ascii=False)
        assert not re.search(r"(?<!\d)1[3-9]\d{9}(?!\d)|(?<!\d)\d{17}[\dX](?!\d)", body)
