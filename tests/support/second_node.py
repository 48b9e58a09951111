"""A second node of the session's Kafka, which may be killed: partitions on it alone are then without a leader."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from deploy.operate.ports import free_port
from deploy.tryout.local import broker_java
from deploy.tryout.local.broker import Broker
from deploy.tryout.local.broker_java import JavaBroker, single_node_settings

__all__ = ["SecondNode"]


class SecondNode(JavaBroker):
    """Node 2, a broker alone; the first node is its controller."""

    def __init__(self, folder: Path, first: JavaBroker) -> None:
        super().__init__(folder, free_port())
        self._first = first.folder

    @classmethod
    def beside(cls, first: Broker, folder: Path, monkeypatch: pytest.MonkeyPatch) -> SecondNode:
        """Skips the test where the first node runs elsewhere."""
        if not isinstance(first, JavaBroker):
            pytest.skip("a second node needs Kafka on this machine's Java")
        found = re.search(r"cluster.id=(\S+)", (first.folder / "data" / "meta.properties").read_text())
        assert found
        monkeypatch.setattr(broker_java, "cluster_id", lambda: found.group(1))
        folder.mkdir()
        return cls(folder, first)

    def _properties(self) -> str:
        first = (self._first / "server.properties").read_text()
        voters = re.search(r"controller.quorum.voters=(\S+)", first)
        assert voters
        settings = {
            "process.roles": "broker",
            "node.id": "2",
            "controller.quorum.voters": voters.group(1),
            "listeners": f"PLAINTEXT://{self.address}",
            "advertised.listeners": f"PLAINTEXT://{self.address}",
            "log.dirs": str(self.folder / "data"),
        } | single_node_settings()
        return "".join(f"{name}={value}\n" for name, value in settings.items())
