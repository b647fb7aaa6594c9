"""What the worker counts live and what the catalogue says of the stored events is the same."""

from __future__ import annotations

import json
import random
import time
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from metrics.world import PLAN, World, plain
from pipeline.archiver.rows import EVENT_COLUMNS, ArchiveBatch
from pipeline.embedded.clickhouse import EmbeddedClickHouse
from pipeline.ingest.classify import PartitionClassifier
from pipeline.ingest.records import Record
from pipeline.ingest.validate import Validator
from pipeline.state.partition import PartitionState
from pipeline.worker.publisher import Publisher, decimal
from schemas.plan import Plan
from schemas.plan_io import parse_plan

NOW = int(time.time() * 1000)
#: Noon in Berlin, of three days with the 25-hour day in the middle.
DAYS = ("2026-10-24", "2026-10-25", "2026-10-26")


def shop(seed: int) -> list[Record]:
    """2,000 events of 60 users over three days, in their order."""
    rng = random.Random(seed)
    start = int(datetime.fromisoformat("2026-10-24T00:00").replace(tzinfo=ZoneInfo("Europe/Berlin")).timestamp() * 1000)
    found: list[dict[str, Any]] = []
    for number in range(2000):
        name = rng.choice(["open", "look", "look", "cart", "buy", "refund", "join"])
        fields: dict[str, Any] = {
            "event_id": f"e{number}", "event": name, "user_id": f"u{rng.randrange(60)}",
            "ts": start + rng.randrange(73 * 3_600_000), "platform": rng.choice(["ios", "web"]),
        }  # fmt: skip
        if name in ("buy", "refund"):
            amount = rng.randrange(1, 10_000) / 100
            # A refund is taken off, whether its sender writes it negative or not.
            sign = 1 if name == "buy" else rng.choice([1, -1])
            fields["properties"] = {"amount": sign * amount, "order_id": f"o{number}"}
        found.append(fields)
    found.sort(key=lambda fields: fields["ts"])
    return [Record(offset, NOW, None, json.dumps(fields).encode()) for offset, fields in enumerate(found)]


@pytest.fixture
async def both(server: EmbeddedClickHouse) -> World:
    return await read_by_both(server, PLAN, shop(3))


async def read_by_both(server: EmbeddedClickHouse, plan: Plan, log: list[Record]) -> World:
    """A world in which worker and archiver have read one log."""
    world = await World(server, plan).open()
    validator = Validator(plan)
    state = PartitionState(plan, validator, 0, 1)
    state.fold(log)
    activity, funnels, row = state.changed_rows(0)
    publisher = Publisher(world.settings, plan)
    await publisher.publish(activity, funnels, [row])
    await publisher.close()
    batch = ArchiveBatch(world.settings.stream)
    batch.add(0, PartitionClassifier(plan, validator, 0, 1).classify(log))
    at = EVENT_COLUMNS.index("value")
    batch.events[at] = [decimal(micro) for micro in batch.events[at]]
    await world.connection.run(
        lambda client: client.insert("events_raw", batch.events, column_names=list(EVENT_COLUMNS), column_oriented=True)
    )
    return world


async def test_activity_revenue_and_funnel(both: World) -> None:
    period = {"from_": DAYS[0], "to": DAYS[-1]}
    live = [
        tuple(map(plain, row))
        for row in await both.sql(
            "SELECT toString(toDate(start, 'Europe/Berlin')), events, users, amount, registrations FROM live_activity "
            "WHERE grain = 'day' AND dimension = '' ORDER BY start"
        )
    ]
    daily = await both.ask("active_users_daily", "day events users", **period)
    assert [(day, events, users) for day, events, users, *_ in live] == daily
    assert [users for *_, users in daily] == [row[0] for row in await both.ask("active_users", "dau", **period)]
    assert [users for *_, users in daily] == [row[0] for row in await both.ask("user_lifecycle", "users", **period)]
    assert [amount for *_, amount, _ in live] == [row[0] for row in await both.ask("revenue", "revenue", **period)]
    by_platform = await both.sql(
        "SELECT value, sum(events) FROM live_activity WHERE grain = 'day' AND dimension = 'platform' GROUP BY value "
        "ORDER BY value"
    )
    assert by_platform == sorted(await both.ask("active_users_by", "value events", **period))
    for day in DAYS:
        funnel = await both.sql(
            "SELECT users FROM live_funnel WHERE funnel = 'buying' AND breakdown = '' "
            f"AND toDate(start, 'Europe/Berlin') = '{day}' ORDER BY step"
        )
        assert funnel == await both.ask("funnel", "users", from_=day, to=day)
        assert funnel[0][0] > funnel[1][0] > funnel[2][0] > 0
    await both.close()


REFUNDS = """
product: Refunds
events:
  buy: {value: amount, properties: {amount: number!, order_id: string}}
  refund: {value: amount, properties: {amount: number!, order_id: string}}
  change: {value: amount, properties: {amount: number!, kind: string}}
dimensions: [event]
meanings:
  payment: {event: buy, order_id: properties.order_id}
  refund: [{event: refund, order_id: properties.order_id}, {event: change, where: {properties.kind: back}}]
"""


@pytest.mark.parametrize(
    ("sent", "revenue", "by_event"),
    [
        ([("buy", 100, ""), ("refund", 100, ""), ("buy", -5, "")], -5.0, {"buy": 95.0, "refund": -100.0}),
        ([("buy", 100, ""), ("refund", -100, "")], 0.0, {"buy": 100.0, "refund": -100.0}),
        ([("refund", 0, ""), ("refund", 0.000001, "")], -0.000001, {"refund": -0.000001}),
        ([("change", 7, "back"), ("change", -7, "back")], -14.0, {"change": -14.0}),
        # What is no refund keeps its sign, and is no revenue to the metrics: `plan check` warns of that.
        ([("change", 7, "other")], None, {"change": 7.0}),
    ],
)
async def test_a_refund_is_taken_off_whatever_its_sign(
    server: EmbeddedClickHouse, sent: list[tuple[str, float, str]], revenue: float | None, by_event: dict[str, float]
) -> None:
    start = 1_794_477_600_000  # 2026-11-12T10:00:00Z
    log = [
        Record(i, NOW, None, json.dumps({
            "event_id": f"r{i}", "event": name, "user_id": "rf", "ts": start + i * 1000,
            "properties": {"amount": amount, "kind": kind, "order_id": "o1"},
        }).encode())
        for i, (name, amount, kind) in enumerate(sent)
    ]  # fmt: skip
    world = await read_by_both(server, parse_plan(REFUNDS), log)
    ask = "SELECT toFloat64(sum(amount)) FROM live_activity WHERE grain = 'day' AND dimension = ''"
    ((live,),) = await world.sql(ask)
    ((stored,),) = await world.sql("SELECT toFloat64(sum(value)) FROM events")
    assert live == stored == pytest.approx(sum(by_event.values()), abs=1e-9)
    assert by_event == {
        value: plain(amount)
        for value, amount in await world.sql(
            "SELECT value, amount FROM live_activity WHERE grain = 'day' AND dimension = 'event'"
        )
    }
    if revenue is not None:
        ((metric,),) = await world.ask("revenue", "revenue", from_="2026-11-12", to="2026-11-12")
        assert metric == live == revenue
    await world.close()
