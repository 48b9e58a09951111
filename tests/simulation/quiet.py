"""A run sets a great deal aside, which the chassis logs, and makes a great deal of garbage."""

from __future__ import annotations

import gc
import logging

import structlog

__all__ = ["quiet"]


def quiet() -> None:
    """From now on only what is critical is logged in this process, and garbage is looked for less often."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    gc.set_threshold(100_000, 20, 20)
