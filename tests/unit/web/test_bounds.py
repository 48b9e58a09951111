"""What a request may cost before anybody knows who asks, on both sides of the wall alike."""

from __future__ import annotations

from pathlib import Path

from deploy.web import bounds
from services.chassis import bounds as bounds_of_services


def test_pages_and_services_bound_requests_alike() -> None:
    both = [Path(str(module.__file__)).read_text("utf-8") for module in (bounds, bounds_of_services)]
    assert len({text.partition("from __future__")[2] for text in both}) == 1
