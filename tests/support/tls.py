"""Certificates for tests, made by the command ``openssl``: an authority, and who it signed for."""

from __future__ import annotations

import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Signed", "authority"]


@dataclass(frozen=True)
class Signed:
    """Files of an authority (``ca``), of a server on 127.0.0.1 and of one of its clients; each key with its own."""

    ca: Path
    server: Path
    server_key: Path
    client: Path
    client_key: Path

    def served(self) -> dict[str, Any]:
        """Arguments of a server that lets in only whom this authority signed for."""
        return {
            "ssl_certfile": str(self.server),
            "ssl_keyfile": str(self.server_key),
            "ssl_ca_certs": str(self.ca),
            "ssl_cert_reqs": ssl.CERT_REQUIRED,
        }

    def client_context(self) -> ssl.SSLContext:
        """The client's side."""
        context = ssl.create_default_context(cafile=self.ca)
        context.load_cert_chain(self.client, self.client_key)
        return context


def authority(folder: Path) -> Signed:
    """Make one in this folder."""
    ca, ca_key = folder / "ca.pem", folder / "ca.key"
    new: list[str | Path] = [
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "2",
    ]
    _openssl(*new, "-keyout", ca_key, "-out", ca, "-subj", "/CN=authority of a test")
    made = {}
    for name in ("server", "client"):
        made[name], key = folder / f"{name}.pem", folder / f"{name}.key"
        signed_by: list[str | Path] = ["-CA", ca, "-CAkey", ca_key, "-addext", "basicConstraints=critical,CA:FALSE"]
        who = ["-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1"]
        _openssl(*new, *signed_by, *who, "-keyout", key, "-out", made[name])
    return Signed(ca, made["server"], folder / "server.key", made["client"], folder / "client.key")


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, timeout=60)
