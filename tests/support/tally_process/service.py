"""What the tally process runs: ``TALLY`` has its suffix and migrations, ``TALLY_BONUS_SECONDS`` when a job is due."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

from services.chassis.base.settings import Settings
from services.chassis.schedule import Job
from services.chassis.service import Service
from tests.support.tally import Tally


def build(_: Settings) -> Service:
    """A tally that never raises by itself."""
    suffix, migrations = os.environ["TALLY"].split(":", 1)
    tally = Tally(suffix, Path(migrations))
    tally.broken = False
    if "TALLY_BONUS_SECONDS" in os.environ:
        tally.jobs = (Job("bonus", tally.bonus, every=timedelta(seconds=float(os.environ["TALLY_BONUS_SECONDS"]))),)
    return tally.service()
