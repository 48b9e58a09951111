"""The operators' page knows the adapter of each seat, of a seat that came a moment ago too."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from deploy.asking import Asking
from deploy.operator.linkage import Linkage
from deploy.operator.settings import OperatorSettings
from tests.support.registries import write_seat

SERVICES = {"bridge": "http://bridge:8080"}


def reading(folder: Path, adapters_url: str) -> Linkage:
    settings = OperatorSettings(services=SERVICES, registries=folder, adapters_url=adapters_url)
    return Linkage(Asking(httpx.AsyncClient(), 5), settings)


def test_the_adapter_of_a_new_seat_is_known_without_another_start(tmp_path: Path) -> None:
    linkage = reading(tmp_path, "http://adapters:8080/")
    assert linkage.services == SERVICES
    write_seat(tmp_path, "fs")
    assert linkage.services == SERVICES | {"adapter_fs": "http://adapters:8080/adapter_fs"}
    (tmp_path / "fs.yaml").unlink()
    assert "adapter_fs" not in linkage.services


@pytest.mark.parametrize(
    "content", ["code: [", "- a list", "system: text", "system: {kind: kafka_native}", "", "\ud800"]
)
def test_a_seat_without_an_address_or_that_cannot_be_read_has_no_adapter(tmp_path: Path, content: str) -> None:
    (tmp_path / "fs.yaml").write_text(content, encoding="utf-8", errors="surrogatepass")
    assert reading(tmp_path, "http://adapters:8080").services == SERVICES
