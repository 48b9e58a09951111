"""The browser that people of these tests have, where the machine has one."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from playwright.async_api import Browser, async_playwright

__all__ = ["browser", "chromium"]


def chromium() -> str | None:
    """Debian's Chromium, or one that CHROMIUM names."""
    return os.environ.get("CHROMIUM") or shutil.which("chromium")


@asynccontextmanager
async def browser() -> AsyncIterator[Browser]:
    """A headless browser."""
    async with async_playwright() as playwright:
        # Without a sandbox of its own, since tests often run as root; it sees our own pages only.
        running = await playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        try:
            yield running
        finally:
            await running.close()
