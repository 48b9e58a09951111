"""What an organiser does in a browser, between a sign-up and the hours at home."""

from __future__ import annotations

from datetime import datetime, timedelta

from playwright.async_api import Browser

from tests.support.pages import ORGANISER, Shift, Stage, Surfer

__all__ = ["check_in_and_attest"]


async def check_in_and_attest(stage: Stage, surf: Browser, her: Surfer, shift: Shift) -> Surfer:
    """The organiser shows the code, she types it when she comes and when she goes, the organiser confirms; gives the
    organiser at the roster."""
    organiser = await Surfer.at(stage, surf, her.language, viewport={"width": 1200, "height": 900})
    await organiser.sign_in(shift.host, ORGANISER[shift.host])
    await her.go(shift.host, f"/check-in/{shift.project_ref}/{shift.shift_ref}")
    for button, told in (
        (("签到", "Check in"), ("已签到", "Checked in")),
        (("签退", "Check out"), ("已签退", "Checked out")),
    ):
        await organiser.go(shift.host, f"{shift.roster}/code")
        await her.page.fill("#code", (await organiser.page.text_content(".digits") or "").strip())
        await her.press(*button)
        await her.sees(*told)
    await organiser.go(shift.host, shift.roster)
    # Two hours, as far as the day has them: one of the registries shows half hours only.
    until = datetime.fromisoformat(await organiser.page.locator("input[name^=to-]").input_value())
    begin = max(until - timedelta(hours=2), until.replace(hour=0, minute=0))
    await organiser.page.locator("input[name^=from-]").fill(f"{begin:%Y-%m-%dT%H:%M}")
    await organiser.page.check("input[name=who]")
    await organiser.press("确认所选的服务", "Confirm the chosen services")
    await organiser.sees("已提交 1 条", "1 sent")
    return organiser
