"""The recipe for a message, carried out: a home tells the host of a shift that its volunteer comes later.

``LateArrivalAnnounced`` of a home becomes ``LateArrivalTold`` to a host.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tests.unit.recipes.carried_out import Edit, write

__all__ = ["NEW_FILES", "TEST_FILE", "WRITTEN", "apply"]

TEST_FILE: Final = "tests/unit/bridge/test_late_arrivals.py"

_CLASS = '''

class LateArrivalAnnounced(Message):
    """Home: she comes ``minutes`` after her shift begins, and keeps her post. The host is told; nothing is decided."""

    OPTIONAL = True

    volunteer_ref: Ref
    host: RegistryCode
    project_ref: Ref
    shift_ref: Ref
    minutes: Annotated[int, Field(ge=1, le=240)]

    @property
    def key(self) -> str:
        """Whom it is about."""
        return self.volunteer_ref
'''
_DELIVERY = '''

class LateArrivalTold(_ToRegistry):
    """To the host: a volunteer of its shift comes ``minutes`` after the shift begins, as her home says."""

    OPTIONAL = True

    project_ref: Ref
    shift_ref: Ref
    minutes: Annotated[int, Field(ge=1, le=240)]
'''
_RULE = '''

def late_arrival_announced(states: States, inbound: Inbound, now: datetime, policy: Policy) -> Decision:
    """Told to the host of the shift under her ref there. She asked her home to say it, so no consent is needed."""
    data: signups.LateArrivalAnnounced = inbound.data
    link = _asked_link(states, inbound, now)
    if isinstance(link, Decision):
        return link
    if link.broken_at(inbound.time):
        return refuse(inbound, now, "link_broken")
    draft = Draft(inbound, now)
    told = deliveries.LateArrivalTold(
        volunteer_ref=link.host_ref, project_ref=data.project_ref, shift_ref=data.shift_ref, minutes=data.minutes
    )
    draft.deliver(link.host, told)
    return draft.decision()
'''
_EXAMPLE = """{
  "specversion": "1.0",
  "id": "sz-late-1",
  "source": "urn:shuangcheng:registry:sz",
  "type": "shuangcheng.signups.late_arrival_announced.v1",
  "time": "2026-08-15T08:40:00+08:00",
  "subject": "V2026000731",
  "partitionkey": "V2026000731",
  "datacontenttype": "application/json",
  "data": {
    "volunteer_ref": "V2026000731",
    "host": "gz",
    "project_ref": "P-2026-0815",
    "shift_ref": "S-1",
    "minutes": 20
  }
}
"""
_DELIVERED = """{
  "specversion": "1.0",
  "id": "b-late-1",
  "source": "urn:shuangcheng:service:bridge",
  "type": "shuangcheng.deliveries.late_arrival_told.v1",
  "time": "2026-08-15T08:40:01+08:00",
  "subject": "G-7",
  "partitionkey": "G-7",
  "datacontenttype": "application/json",
  "data": {
    "volunteer_ref": "G-7",
    "project_ref": "P-2026-0815",
    "shift_ref": "S-1",
    "minutes": 20
  }
}
"""
_TEST = '''"""A home says that its volunteer comes later, and the host of her shift hears it under her ref there."""

from __future__ import annotations

from datetime import timedelta

from contracts.messages import deliveries, signups
from services.adapters.kinds.rest_api.words import CATEGORIES
from tests.support.bridge_and_identity import BorderAndIdentity
from tests.support.bridge_messages import HOME, HOME_REF, HOST, HOST_REF

_SHIFT = {"project_ref": "P-1", "shift_ref": "S-1"}
_LATE = signups.LateArrivalAnnounced(volunteer_ref=HOME_REF, host=HOST, **_SHIFT, minutes=20)


def test_the_host_is_told_under_its_own_ref() -> None:
    linkage = BorderAndIdentity()
    linkage.link()
    linkage.say(HOME, _LATE, id="late")
    assert linkage.told(HOST, deliveries.LateArrivalTold) == [
        deliveries.LateArrivalTold(volunteer_ref=HOST_REF, **_SHIFT, minutes=20)
    ]
    assert linkage.outcomes("late") == []


def test_of_a_volunteer_whom_nobody_links_the_host_hears_nothing() -> None:
    linkage = BorderAndIdentity()
    linkage.say(HOME, _LATE, id="late")
    assert linkage.outcomes("late") == []
    linkage.pass_time(timedelta(minutes=2))
    assert linkage.outcomes("late") == ["refused(not_linked)"]
    assert linkage.told(HOST, deliveries.LateArrivalTold) == []


def test_a_host_does_not_announce_to_itself() -> None:
    linkage = BorderAndIdentity()
    linkage.link()
    linkage.say(HOST, _LATE.model_copy(update={"volunteer_ref": HOST_REF}), id="late")
    assert linkage.outcomes("late") == ["refused(same_registry)"]
    assert linkage.told(HOST, deliveries.LateArrivalTold) == []


def test_a_registry_without_kafka_may_leave_it_unread() -> None:
    assert deliveries.LateArrivalTold.OPTIONAL
    assert deliveries.LateArrivalTold not in CATEGORIES
'''

NEW_FILES: Final = {
    "contracts/examples/shuangcheng.signups.late_arrival_announced.v1/valid-twenty_minutes.json": _EXAMPLE,
    "contracts/examples/shuangcheng.deliveries.late_arrival_told.v1/valid-twenty_minutes.json": _DELIVERED,
    TEST_FILE: _TEST,
}
_EDITS: Final[tuple[Edit, ...]] = (
    ("contracts/messages/signups.py", None, _CLASS),
    ("contracts/messages/deliveries.py", None, _DELIVERY),
    (
        "contracts/topics.py",
        '        Leg(6, (signups.SignupReported,), "host = home"),\n',
        '        Leg(6, (signups.SignupReported,), "host = home"),\n'
        '        Leg(6, (signups.LateArrivalAnnounced,), "home"),\n',
    ),
    (
        "contracts/topics.py",
        "        Leg(7, (deliveries.SignupChanged,)),\n",
        "        Leg(6, (deliveries.LateArrivalTold,)),\n        Leg(7, (deliveries.SignupChanged,)),\n",
    ),
    (
        "services/bridge/crossings.py",
        "    service.CheckedIn: _crossing(",
        '    signups.LateArrivalAnnounced: _crossing(translation.late_arrival_announced, "signup", Other("host")),\n'
        "    service.CheckedIn: _crossing(",
    ),
    (
        "services/bridge/border/translation.py",
        "from contracts.messages import attendance, opportunities,",
        "from contracts.messages import attendance, deliveries, opportunities,",
    ),
    (
        "services/bridge/border/translation.py",
        '    "presence_recorded",\n',
        '    "late_arrival_announced",\n    "presence_recorded",\n',
    ),
    ("services/bridge/border/translation.py", None, _RULE),
    (
        "CHANGELOG.md",
        "## Unreleased\n",
        "## Unreleased\n\n### Added\n"
        "- LateArrivalAnnounced: a home says that its volunteer comes later; the host is told (LateArrivalTold)."
        " Both may be left unread.\n",
    ),
)
WRITTEN: Final = {path for path, _, _ in _EDITS} | set(NEW_FILES)
"""Every file that a hand writes."""


def apply(tree: Path) -> None:
    """Do what the recipe says, in this copy of the tree."""
    write(tree, _EDITS, NEW_FILES)
