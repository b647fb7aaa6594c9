"""A ClickHouse with the catalogue of one plan, and literal events to ask it about."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, date, datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

import pytest
from migrated import give_back, running, take

from pipeline.clickhouse.client import Connection
from pipeline.embedded.clickhouse import EmbeddedClickHouse
from pipeline.metrics import Table, arguments_for, install, metric, run
from schemas.event import CONTEXT_FIELDS
from schemas.plan import Plan
from schemas.plan_io import parse_plan

#: A shop in a zone with daylight saving: on 2026-10-25 its day has 25 hours, on 2026-03-29 it has 23.
TEXT = """
product: Test
timezone: Europe/Berlin
registration: join
events:
  join:
  open:
  look: {properties: {item_id: string, category: string, price: number}}
  cart:
  buy: {value: amount, properties: {amount: number!, order_id: string, coupon: string}}
  refund: {value: amount, properties: {amount: number!, order_id: string}}
  ad: {properties: {earned: number, ad: string}}
  click: {properties: {ad: string}}
  share: {properties: {item: string, target: string}}
  invite: {properties: {invite: string}}
  accept: {properties: {invite: string}}
  ask: {properties: {survey: string}}
  answer: {properties: {survey: string, score: integer}}
  see: {properties: {experiment: string, variant: string}}
  joinsale: {properties: {sale: string}}
  read: {properties: {item: string, share: number}}
  like: {properties: {item: string}}
  comment: {properties: {item: string}}
  write: {properties: {item: string}}
funnels:
  buying: {steps: [look, cart, buy], window: 1d}
meanings:
  activation: buy
  onboarding: [open, {event: look, name: seen a shoe, where: {properties.category: shoes}}, buy]
  payment: {event: buy, order_id: properties.order_id}
  refund: {event: refund, order_id: properties.order_id}
  ad_impression: {event: ad, revenue: properties.earned, ad: properties.ad}
  ad_click: {event: click, ad: properties.ad}
  coupon: {event: buy, code: properties.coupon}
  share: {event: share, item: properties.item, target: properties.target}
  invite: {event: invite, invite_id: properties.invite}
  invite_accepted: {event: accept, invite_id: properties.invite}
  survey_shown: {event: ask, survey: properties.survey}
  survey: {event: answer, survey: properties.survey, score: properties.score}
  exposure: {event: see, experiment: properties.experiment, variant: properties.variant}
  participation: {event: joinsale, campaign: properties.sale}
  content_view: {event: look, item: properties.item_id}
  content_complete: {event: read, item: properties.item, where: {properties.share: {gte: 0.9}}}
  content_like: {event: like, item: properties.item}
  content_comment: {event: comment, item: properties.item}
  content_share: {event: share, item: properties.item}
  content_create: {event: write, item: properties.item}
  thresholds: {high_value: 50}
"""
PLAN = parse_plan(TEXT)
#: The same, and users may have old ids.
ALIASED = parse_plan(TEXT + "identity: {alias: {event: join, previous: properties.old}}\n")
_RETENTION = 20_000  # days

Event = dict[str, Any]


def event(actor: str, name: str, at: str, properties: dict[str, Any] | None = None, **fields: Any) -> Event:
    """An event at a local time of the plan (`2026-11-01 09:30`, or with an offset `2026-10-25T02:30+01:00`).

    `fields` are those of the envelope, and `late`.
    """
    return {"actor": actor, "user_id": actor, "event": name, "at": at, "properties": properties or {}, **fields}


def visit(device: str, name: str, at: str, properties: dict[str, Any] | None = None, **fields: Any) -> Event:
    """An event of a device before anybody logged in on it."""
    return event(device, name, at, properties, **{"user_id": "", "anonymous_id": device, **fields})


def link(id_: str, person: str, at: str = "2026-11-01 00:00", outcome: str = "linked", **fields: Any) -> Event:
    """A claim of a user on a device or on an old user id, as the archiver stores it (UTC); its offset is its place."""
    kind = fields.get("kind", "login")
    stored = id_ if kind == "alias" else f"$device:{id_}"
    return {"id": stored, "person": person, "ts": at, "outcome": outcome, **fields, "kind": kind}


class World:
    """A database of its own for one plan. `tell` replaces its events, `ask` runs a metric, `sql` anything."""

    def __init__(self, server: EmbeddedClickHouse, plan: Plan = PLAN) -> None:
        self.plan, self._server = plan, server
        self.installed: list[str] = []

    async def open(self) -> World:
        # The events are of fixed days: whatever the day of the run, their retention is not over.
        self.settings = await take(self._server, retention_days=_RETENTION)
        self.connection = Connection(self.settings)
        self.installed = await install(self.settings, self.plan)
        await self.connection.close()
        return self

    async def close(self) -> None:
        """The end of this world; the next one gets its tables."""
        await self.connection.close()
        await give_back(self._server, self.settings, retention_days=_RETENTION)

    async def command(self, sql: str) -> None:
        await self.connection.run(lambda client: client.command(sql))

    async def sql(self, sql: str) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in await self.connection.query(sql)]

    async def tell(self, events: list[Event], links: Sequence[Event] = ()) -> None:
        where = {"stream": "test", "partition": 0}
        await self._fill("events_raw", [self._row(i, fields) for i, fields in enumerate(events)])
        await self._fill("links_raw", [{**where, "offset": i, **fields} for i, fields in enumerate(links)])

    async def _fill(self, table: str, rows: list[dict[str, Any]]) -> None:
        await self.command(f"TRUNCATE TABLE {table}")
        text = "\n".join(map(json.dumps, rows))
        if text:
            await self.connection.run(lambda client: client.raw_insert(table, insert_block=text, fmt="JSONEachRow"))

    def _row(self, number: int, fields: Event) -> dict[str, Any]:
        time = datetime.fromisoformat(fields["at"])
        ts = time if time.tzinfo else time.replace(tzinfo=ZoneInfo(self.plan.timezone))
        spec = self.plan.events.get(fields["event"])
        value = fields["properties"].get(spec.value, 0) if spec is not None and spec.value else 0
        row: dict[str, Any] = {
            "stream": "test", "partition": 0, "offset": number, "event_id": f"e{number}",
            "ts": _utc(ts), "value": str(value), "properties": json.dumps(fields["properties"]),
            "ingested_at": _utc(datetime.now(UTC)), "late": fields.get("late", False),
        }  # fmt: skip
        for name in ("event", "actor", "user_id", "anonymous_id", "session_id", *CONTEXT_FIELDS):
            row[name] = fields.get(name, "")
        own = ("stream", "partition", "offset", "counted_as")
        return row | {name: fields[name] for name in own if name in fields}

    async def table(self, name: str, today: str = "2026-12-01", **given: Any) -> Table:
        chosen = metric(name)
        arguments = arguments_for(
            chosen, {k.rstrip("_"): v for k, v in given.items()}, self.plan, date.fromisoformat(today)
        )
        return await run(self.connection, chosen, arguments)

    async def ask(self, name: str, columns: str = "", **given: Any) -> list[tuple[Any, ...]]:
        """The rows of a metric, only the `columns` named (by spaces), in their order. `from_` is `from`."""
        table = await self.table(name, **given)
        wanted = columns.split() or table.columns
        return list(zip(*(map(plain, table.column(column)) for column in wanted), strict=True))


def _utc(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


def plain(value: Any) -> Any:
    """Days as text and exact amounts as numbers, so that expected rows are short to write."""
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, date):
        return value.isoformat()
    if type(value).__name__ == "Decimal":
        return float(value)
    if isinstance(value, float):
        return round(value, 6)
    return value


def worlds(scope: Literal["module", "package"], plan: Plan = PLAN) -> tuple[Any, Any, Any]:
    """The fixtures `server`, `opened` and `world`: a ClickHouse, one catalogue in it that tests fill in turn."""

    @pytest.fixture(scope=scope)
    def server(needs_embedded: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedClickHouse]:
        with running(tmp_path_factory.mktemp("world")) as clickhouse:
            yield clickhouse

    @pytest.fixture(scope=scope)
    def opened(server: EmbeddedClickHouse) -> World:
        return asyncio.run(World(server, plan).open())

    @pytest.fixture
    async def world(opened: World) -> AsyncIterator[World]:
        yield opened
        await opened.connection.close()

    return server, opened, world
