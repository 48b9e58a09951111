"""Figures of a process, by its own metrics."""

from __future__ import annotations

import re

import httpx

__all__ = ["applied", "lag"]


async def applied(url: str) -> int:
    """Messages that it has applied since it started."""
    return await _sum(url, r'shuangcheng_messages_total\{.*outcome="applied".*\}')


async def lag(url: str) -> int:
    """Messages in the log that it has not applied."""
    return await _sum(url, r"shuangcheng_lag_messages\{.*\}")


async def _sum(url: str, pattern: str) -> int:
    async with httpx.AsyncClient(timeout=10.0, trust_env=False) as http:
        text = (await http.get(f"{url}/metrics")).text
    return int(sum(map(float, re.findall(rf"^{pattern} (\S+)$", text, re.MULTILINE))))
