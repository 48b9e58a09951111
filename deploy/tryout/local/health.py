"""Waits until processes say over HTTP that they are ready."""

from __future__ import annotations

import ssl
from typing import Final

import httpx

from deploy.operate.errors import ProcessFailed
from deploy.operate.waiting import wait_until_done
from deploy.tryout.local.processes import Child

_NO_AUTHORITY: Final = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Loopback is asked without TLS. Every client would else read all authorities of the machine, 60 ms of a processor."""


async def wait_until_ready(child: Child, url: str, *, seconds: float, part: str = "") -> None:
    """Return once GET /health/ready answers 200. ProcessFailed when the process dies, or is not ready in time.

    `part`: the name of what answers there, where the process has several parts.
    """

    async def not_ready() -> str | None:
        if not child.running:
            raise death(child)
        try:
            response = await client.get(f"{url}/health/ready")
        except httpx.HTTPError as error:
            return f"no answer ({type(error).__name__})"
        return None if response.status_code == httpx.codes.OK else f"{response.status_code} {_why(response)}"

    def late(answer: str) -> ProcessFailed:
        return ProcessFailed(
            f"{part or child.name} was not ready after {seconds:.0f} s; it says: {answer}",
            details=child.tail(),
            todo=f"see {child.log}",
        )

    async with httpx.AsyncClient(timeout=5.0, trust_env=False, verify=_NO_AUTHORITY) as client:
        await wait_until_done(not_ready, late, seconds=seconds)


def _why(response: httpx.Response) -> str:
    """The process's reasons for not being ready, or else its answer as it is."""
    try:
        why = response.json()["why"]
    except (ValueError, TypeError, KeyError):
        why = None
    return "; ".join(map(str, why)) if isinstance(why, list) and why else response.text[:500]


def death(child: Child) -> ProcessFailed:
    """Describe a process that ended unasked, with its last log lines."""
    status = child.returncode
    how = f"was ended by signal {-status}" if status is not None and status < 0 else f"ended with status {status}"
    return ProcessFailed(f"{child.name} {how}", details=child.tail(), todo=f"see {child.log}")
