"""A registry whose file is taken out of the folder and put back, on broker and database."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from contracts.envelope import Event
from contracts.messages import receipts
from contracts.topics import registry_source, service_source
from deploy.tryout.local.broker import Broker
from tests.support.bridge_messages import HOME_REF, T0, confirmed, established
from tests.support.bridge_running import configured, running_border
from tests.support.waiting import eventually


async def test_nothing_of_it_is_read_until_its_file_is_back_and_then_it_goes_on_where_it_stopped(
    broker: Broker, database: str, unique: Callable[[str], str], tmp_path: Path
) -> None:
    async with running_border(broker, database, unique, tmp_path) as border:
        host, home, db = border.host, border.home, border.db
        identity, attendance = service_source("identity"), service_source("attendance")
        await border.publish([Event("linked", identity, T0, established(host=host, home=home))])
        await border.publish([Event("first", attendance, T0, confirmed(1, 60, "R1", host))])
        (credit,) = await border.posted(1)
        (border.folder / f"{home}.yaml").unlink()
        await border.restart()
        booked = receipts.CreditAccepted(
            transfer_id=credit.transfer_id, volunteer_ref=HOME_REF, delta=60, posted_at=T0, attempt=1
        )
        await border.publish([Event("booked", registry_source(home), T0, booked)])
        await border.publish([Event("second", attendance, T0, confirmed(1, 30, "R2", host))])
        stands = "SELECT array_agg(state || coalesce(':' || reason, '') ORDER BY record_ref) = $1 FROM transfer"
        await eventually(lambda: db.fetchval(stands, ["sent", "queued:registry_left"]))

        async def ready() -> bool:
            return bool((await border.http.get("/health/ready")).json()["ready"])

        await eventually(ready)
        assert await db.fetchval("SELECT count(*) FROM set_aside") == 0
        configured(border.folder, home)
        await border.restart()
        await eventually(lambda: db.fetchval("SELECT state = 'credited' FROM transfer WHERE record_ref = 'R1'"))
