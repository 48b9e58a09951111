"""The values by which attendance decides: those of all registries, and those of each seat's file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from contracts.messages.service import Tier
from contracts.policy import AsHome, AsHost
from contracts.registry import Registry, policy_of
from services.attendance.settings import AttendanceSettings
from services.chassis.base.configuration import read_folder

__all__ = ["Policy", "policy"]

_WHOLE_DAY: Final = 1440
"""Minutes."""


@dataclass(frozen=True, slots=True)
class Policy:
    """``day_cap_minutes``: service minutes of one person on one Shanghai day, over all registries, that are confirmed
    without review (rule 72), where her home's file says nothing. ``registries``: their files by code."""

    day_cap_minutes: int
    registries: Mapping[str, Registry] = field(default_factory=dict)

    def as_host(self, code: str, moment: datetime) -> AsHost | None:
        """What this host asks of service at this moment. None: a sign-up and a check-in are enough, as in the time
        before the first version of its policy."""
        values = policy_of(self.registries, code, moment)
        return None if values is None else values.as_host

    def as_home(self, code: str | None, moment: datetime) -> AsHome | None:
        """What this home asks of the hours of its volunteers at this moment. ``code``: None where nobody said it."""
        values = None if code is None else policy_of(self.registries, code, moment)
        return None if values is None else values.as_home

    def day_cap(self, home: str | None, moment: datetime, approved_by: Tier | None) -> int:
        """The minutes of a Shanghai day that may count with a record of this moment, if this tier approved it."""
        asked = self.as_home(home, moment)
        if approved_by == "province":
            return _WHOLE_DAY
        if approved_by == "parent":
            return (asked or AsHome()).parent_day_minutes
        return self.day_cap_minutes if asked is None else asked.day_minutes

    def versions(self, host: str, home: str | None, moment: datetime) -> dict[str, datetime]:
        """The versions of policy that decide about a record of this moment, each by the moment from which it counts:
        ``host_policy``, ``home_policy``. A seat without a version in force is left out."""
        named = {"host_policy": host, "home_policy": home}
        found = {name: policy_of(self.registries, code, moment) for name, code in named.items() if code is not None}
        return {name: values.valid_from for name, values in found.items() if values is not None}


def policy(settings: AttendanceSettings) -> Policy:
    """Read from the settings and the files of the registries. Raises ``ConfigurationError``."""
    registries = read_folder(settings.registries, Registry, named_by="code", variable="SHUANGCHENG_REGISTRIES")
    return Policy(settings.day_cap_minutes, registries)
