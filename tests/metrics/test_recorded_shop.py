"""The published figures of a recorded shop (Retentioneering's ecom data set, Apache-2.0), by the catalogue."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from whole_system import ROOT

from metrics.world import World
from pipeline.archiver.load import load
from pipeline.clickhouse.client import connect
from pipeline.embedded.clickhouse import EmbeddedClickHouse
from pipeline.files.mapping import parse_mapping
from pipeline.files.reader import Reading, read_events
from pipeline.ingest.sent import Sent
from schemas.plan_io import load_plan

DATA = ROOT / "tests" / "data" / "ecom"
MAPPING = "user_id=user_id,session_id=session_id,event=event,ts=timestamp,platform=platform,channel=acquisition_channel"
PERIOD = {"from_": "2024-01-01", "to": "2024-06-30"}
WRITTEN = 1_790_000_000_000  # of the records


@pytest.fixture(scope="module")
def published() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((DATA / "published.json").read_text())["published"]
    return found


@pytest.fixture
async def shop(server: EmbeddedClickHouse) -> AsyncIterator[World]:
    plan = load_plan("ecom")
    world = await World(server, plan).open()
    lines = read_events(str(DATA / "ecom.csv.gz"), Reading(parse_mapping(MAPPING), plan=plan))
    client = await connect(world.settings)
    await load(client, plan, (Sent(WRITTEN, line.key, line.value) for line in lines), stream="ecom")
    await client.close()
    yield world
    await world.close()


async def test_every_published_figure(shop: World, published: dict[str, Any]) -> None:
    assert await shop.sql("SELECT count(), uniqExact(actor), countIf(late) FROM events") == [
        (published["events"], published["users"], 0)
    ]
    bounds = await shop.sql("SELECT toString(toDateTime(min(ts))), toString(toDateTime(max(ts))) FROM events")
    assert bounds == [(published["min"], published["max"])]

    features = await shop.ask("feature_penetration", "event events users penetration", **PERIOD)
    assert {event: events for event, events, _, _ in features} == published["event_counts"]
    assert ("catalog", 6521, 600, 1.0) in features

    daily = await shop.ask("sessions_daily", "day sessions", **PERIOD)
    assert len(daily) == 182
    assert sum(sessions for _, sessions in daily) == published["sessions"]
    # The same sessions without their ids, by pauses of 30 minutes.
    by_gap = await shop.sql(
        "SELECT countIf(gap IS NULL OR gap > 1800) FROM (SELECT dateDiff('second', lagInFrame(toNullable(ts)) OVER ("
        "PARTITION BY actor ORDER BY ts ROWS BETWEEN 1 PRECEDING AND CURRENT ROW), ts) AS gap FROM activity)"
    )
    assert by_gap == [(published["sessions_30m_gap"],)]

    with_event = await shop.sql(
        "SELECT event, uniqExact(actor, session_id) FROM activity WHERE event IN ('checkout_bug', 'payment_error') "
        "GROUP BY event"
    )
    assert dict(with_event) == published["sessions_with"]

    new = await shop.ask("new_users", "new", **PERIOD)
    assert sum(row[0] for row in new) == published["users"]


async def test_the_published_funnel(shop: World, published: dict[str, Any]) -> None:
    steps = list(published["funnel_users"])
    # However long it takes: half a year is the whole recording.
    found = await shop.ask("funnel", "event users", **PERIOD, steps=steps, within=182 * 86_400)
    assert dict(found) == published["funnel_users"]
