"""The operators' page knows the adapter of each seat, of a seat that came a moment ago too."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.operator.linkage import Addresses
from deploy.operator.settings import OperatorSettings
from tests.support.registries import write_seat

SERVICES = {"bridge": "http://bridge:8080"}


def test_the_adapter_of_a_new_seat_is_known_without_another_start(tmp_path: Path) -> None:
    known = Addresses(OperatorSettings(services=SERVICES, registries=tmp_path, adapters_url="http://adapters:8080/"))
    assert dict(known) == SERVICES
    write_seat(tmp_path, "fs")
    assert dict(known) == SERVICES | {"adapter_fs": "http://adapters:8080/adapter_fs"}
    (tmp_path / "fs.yaml").unlink()
    assert "adapter_fs" not in known


@pytest.mark.parametrize(
    "content", ["code: [", "- a list", "system: text", "system: {kind: kafka_native}", "", "\ud800"]
)
def test_a_seat_without_an_address_or_that_cannot_be_read_has_no_adapter(tmp_path: Path, content: str) -> None:
    (tmp_path / "fs.yaml").write_text(content, encoding="utf-8", errors="surrogatepass")
    known = Addresses(OperatorSettings(services=SERVICES, registries=tmp_path, adapters_url="http://adapters:8080"))
    assert dict(known) == SERVICES
