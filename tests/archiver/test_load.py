"""Events that don't come by Kafka: stored once, as the archiver would store them."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from pipeline.archiver.load import load
from pipeline.clickhouse.client import connect
from pipeline.clickhouse.migrate import migrate
from pipeline.embedded.clickhouse import EmbeddedClickHouse
from pipeline.errors import UserError
from pipeline.settings import Settings
from pipeline.simulate import SHOP, History, Sent
from schemas.plan_io import load_plan, parse_plan

T0 = 1_790_812_800_000
PLAN = load_plan("shop")


async def test_what_is_loaded_twice_is_there_once(server: EmbeddedClickHouse) -> None:
    settings = Settings(**server.access, clickhouse_database="once", retention_days=20_000)
    await migrate(settings)
    client = await connect(settings)
    try:
        history = History(SHOP, T0, T0 + 5 * 86_400_000, 25_000)
        records = list(history.records())
        seen: list[int] = []
        for _ in range(2):
            assert await load(client, PLAN, records, progress=seen.append) == len(records)
        assert seen[-1] == len(records)
        events = [json.loads(r.value or b"") for r in records]
        spent = sum(Decimal(str(e["properties"]["amount"])) for e in events if e["event"] in ("purchase", "refund"))
        found = await client.query(
            "SELECT count(), uniqExact(actor), sum(value), countIf(late), any(stream) FROM events"
        )
        actors = {e.get("user_id") or e["anonymous_id"] for e in events}
        assert found.result_rows == [(len(records), len(actors), spent, 0, "history")]
    finally:
        await client.close()


async def test_events_of_another_plan_are_refused(server: EmbeddedClickHouse) -> None:
    client = await connect(Settings(**server.access), database=False)
    try:
        records = [Sent(T0, b"u", b'{"event_id":"1","event":"share","user_id":"u","ts":1790812800000}')]
        with pytest.raises(UserError, match="an event doesn't fit the plan: unknown_event: the plan has no event"):
            await load(client, parse_plan("product: T\nevents:\n  look: {}\n"), records)
    finally:
        await client.close()
