"""Shifts of both cities that begin soon, for people who click through the pages: 志愿一夏, today and the days after."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from contracts.envelope import Event
from contracts.messages import Message, shifts
from contracts.messages.shifts import Campaign, Category, Place
from contracts.topics import registry_source, registry_topic_for
from deploy.operate.lines import Letter
from deploy.tryout.demo.world import CAMPAIGN

__all__ = ["soon"]

_PROJECTS: Final = (
    ("gz", "gz-p-play-1", "gz-org-0417", "二沙岛草地养护", Category.ECOLOGY, "440104", "越秀区二沙岛体育公园", 0),
    ("gz", "gz-p-play-2", "gz-org-0417", "海心沙江岸巡护", Category.ECOLOGY, "440106", "天河区海心沙", 16),
    ("gz", "gz-p-play-3", "gz-org-0800", "图书馆暑期整架", Category.CULTURE, "440106", "天河区广州图书馆", 0),
    ("gz", "gz-p-play-4", "gz-org-0800", "急救站夜间值守", Category.CITY_SAFETY, "440105", "海珠区广州塔", 18),
    ("sz", "sz-p-play-1", "sz-org-1183", "田坑河清晨巡河", Category.ECOLOGY, "440310", "坪山区田坑河", 0),
    ("sz", "sz-p-play-2", "sz-org-1183", "红树林净滩", Category.ECOLOGY, "440304", "福田区红树林", 16),
    ("sz", "sz-p-play-3", "sz-org-0352", "AED 与急救课助教", Category.TALENT, "440304", "福田区市民中心", 0),
    ("sz", "sz-p-play-4", "sz-org-0352", "社区长者探访", Category.COMMUNITY, "440305", "南山区粤海街道", 18),
)
_BEGINNINGS: Final = (
    timedelta(minutes=2),
    timedelta(minutes=10),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(days=1),
    timedelta(days=2, hours=3),
    timedelta(days=4, hours=-2),
)
_LASTS: Final = timedelta(hours=2)


def soon(now: datetime) -> list[Letter]:
    """The projects and their shifts. One shift of each registry has a single post, so that it is full at once."""
    opened = now - timedelta(hours=1)
    return [
        Letter(topic, Event(f"{registry}-play-{number}", registry_source(registry), opened, message))
        for number, (registry, message) in enumerate(_messages(now, opened))
        if (topic := registry_topic_for(registry_source(registry), type(message))) is not None
    ]


def _messages(now: datetime, opened: datetime) -> Iterator[tuple[str, Message]]:
    for registry, ref, organiser, title, category, division, place, age in _PROJECTS:
        yield registry, shifts.ProjectPublished(
            project_ref=ref, version=1, title=title, category=category, organiser_ref=organiser,
            campaign=Campaign(ref=CAMPAIGN.ref, title=CAMPAIGN.title),
        )  # fmt: skip
        for number, after in enumerate(_BEGINNINGS):
            begins = (now + after).replace(second=0, microsecond=0) + timedelta(minutes=1)
            yield (
                registry,
                shifts.ShiftPublished(
                    project_ref=ref,
                    shift_ref=f"{ref}-{number}",
                    version=1,
                    starts_at=begins,
                    ends_at=begins + _LASTS,
                    signup_opens_at=opened,
                    signup_closes_at=begins,
                    posts=1 if ref.endswith("-3") and number == 2 else 12,
                    minimum_age=age,
                    place=Place(division_code=division, text=place),
                ),
            )
