"""The chassis logs what it sets aside; a simulation sets a great deal aside."""

from __future__ import annotations

import logging

import structlog

__all__ = ["quiet"]


def quiet() -> None:
    """From now on only what is critical is logged in this process."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
