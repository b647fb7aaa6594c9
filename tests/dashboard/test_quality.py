"""The page Data quality with links in a real ClickHouse: what it says of devices and their users."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from html import unescape
from pathlib import Path

import aiohttp
import pytest

from pipeline.clickhouse.client import connect
from pipeline.clickhouse.migrate import migrate
from pipeline.dashboard.server import Dashboard
from pipeline.embedded.clickhouse import EmbeddedClickHouse
from pipeline.settings import Settings
from schemas.plan_io import load_plan

#: (offset, id, person, kind, outcome, UTC): a device of two users, the till that three claimed where two may, an old id,
#: and a link from before.
LINKS = (
    (1, "$device:phone", "ann", "login", "linked", "2026-11-02 08:00:00"),
    (2, "$device:phone", "bob", "login", "refused", "2026-11-02 09:00:00"),
    (3, "$device:till", "ann", "login", "linked", "2026-11-03 08:00:00"),
    (4, "$device:till", "bob", "login", "refused", "2026-11-03 09:00:00"),
    (5, "$device:till", "cid", "login", "shared", "2026-11-03 10:00:00"),
    (6, "old", "ann", "alias", "linked", "2026-11-04 08:00:00"),
    (7, "old", "<b>", "alias", "refused", "2026-11-04 09:00:00"),
    (8, "$device:before", "ann", "login", "linked", "2026-10-04 08:00:00"),
)


@pytest.fixture
async def address(needs_embedded: None, tmp_path: Path) -> AsyncIterator[str]:
    async with EmbeddedClickHouse(tmp_path, memory_limit=1 << 30) as server:
        settings = Settings(dashboard_port=0, dashboard_workers="http://127.0.0.1:9", **server.access)
        await migrate(settings)
        client = await connect(settings)
        await client.insert(
            "links_raw",
            [
                ("s", 0, offset, one, person, kind, outcome, datetime.fromisoformat(ts).replace(tzinfo=UTC), 0)
                for offset, one, person, kind, outcome, ts in LINKS
            ],
            ["stream", "partition", "offset", "id", "person", "kind", "outcome", "ts", "watermark"],
        )
        await client.close()
        dashboard = Dashboard(settings, load_plan("shop"))
        await dashboard.start()
        yield f"http://127.0.0.1:{dashboard.port}"
        await dashboard.stop()


async def words(address: str, query: str, language: str) -> list[str]:
    """What stands in the part, its tags left out."""
    url = f"{address}/part/quality-links?{query}"
    async with aiohttp.ClientSession(cookies={"lang": language}) as web, web.get(url) as answer:
        assert answer.status == 200
        html = await answer.text()
    return [unescape(found) for piece in re.split(r"<[^>]*>", html) if (found := piece.strip())]


async def test_devices_linked_refused_and_shared_are_counted_and_named(address: str) -> None:
    found = await words(address, "from=2026-11-01&to=2026-11-07", "en")
    assert found[:9] == [
        "Devices linked", "2", "to the first user who logged in",
        "Claims refused", "3", "another user's login: the device stays with the first",
        "Devices shared by too many", "1", "nobody's from then on",
    ]  # fmt: skip
    shared, refused = found.index("Shared devices"), found.index("Refused claims")
    assert found[shared + 4 : refused] == ["till", "3", "Nov 3 18:00"]
    assert found[refused + 5 :] == [
        "old", "ann", "<b>", "Nov 4 17:00",
        "till", "ann", "bob", "Nov 3 17:00",
        "phone", "ann", "bob", "Nov 2 17:00",
    ]  # fmt: skip
    found = await words(address, "from=2026-10-01&to=2026-10-07", "zh")
    assert found[:8] == ["新关联设备", "1", "归第一个登录的用户", "被拒绝的关联", "0", "其他用户在该设备登录；设备仍归第一个用户",
                         "多人共用的设备", "0"]  # fmt: skip
    assert found[-2:] == ["被拒绝的关联", "这些天没有。"]
    found = await words(address, "from=2026-09-01&to=2026-09-07", "en")
    assert found == ["Nobody logged in on a device for the first time in these days."]
