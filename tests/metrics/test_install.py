"""The views: made once, made anew when something changed, and facts that are the plan's meanings."""

from __future__ import annotations

from datetime import date

import aiohttp

from metrics.world import ALIASED, PLAN, World, event, link, visit
from pipeline.clickhouse.client import connect
from pipeline.embedded.clickhouse import EmbeddedClickHouse
from pipeline.metrics import Limits, arguments_for, install, metrics
from pipeline.metrics.run import bound, query
from schemas.meanings import Meanings
from schemas.plan_io import load_plan, parse_plan, ready_plans


async def test_only_what_changed_is_made_again(server: EmbeddedClickHouse) -> None:
    world = await World(server).open()
    assert set(metrics()) <= set(world.installed)
    assert await install(world.settings, PLAN) == []
    await world.command("CREATE OR REPLACE VIEW active_users_daily AS SELECT 1")  # somebody's own
    assert await install(world.settings, PLAN) == ["active_users_daily"]
    other = PLAN.model_copy(update={"meanings": Meanings()})
    changed = await install(world.settings, other)
    assert "payments" in changed
    assert "activity" not in changed
    await world.tell([event("a", "buy", "2026-11-01 10:00", {"amount": 5, "order_id": "o1"})])
    assert await world.sql("SELECT count() FROM payments") == [(0,)]
    await world.command("CREATE VIEW old COMMENT 'gone [catalogue 0123456789abcdef]' AS SELECT 1")
    await world.command("CREATE VIEW mine AS SELECT 1")
    await world.command("CREATE OR REPLACE VIEW thresholds AS SELECT 1 AS x")
    assert sorted(await install(world.settings, other)) == ["old", "thresholds"]
    assert await world.sql("SELECT * FROM mine") == [(1,)]
    await world.close()


async def test_more_than_one_link_is_followed_where_there_are_aliases(server: EmbeddedClickHouse) -> None:
    """In the plan, or stored when the plan had them."""
    world = await World(server).open()
    links = [link("d1", "u1"), link("u1", "u2", kind="alias")]
    await world.tell([visit("d1", "open", "2026-11-01 10:00")], links)
    assert await world.sql("SELECT person FROM events") == [("u1",)]
    assert await install(world.settings, PLAN) == ["owners"]
    assert await world.sql("SELECT person FROM events") == [("u2",)]
    await world.tell([visit("d1", "open", "2026-11-01 10:00")], links[:1])
    assert await install(world.settings, PLAN) == ["owners"]
    assert await install(world.settings, ALIASED) == ["owners", "installed_plan"]
    await world.tell([visit("d1", "open", "2026-11-01 10:00")], links)
    assert await world.sql("SELECT person FROM events") == [("u2",)]
    await world.close()


async def test_every_ready_plan_can_be_installed(server: EmbeddedClickHouse) -> None:
    for name in ready_plans():
        world = await World(server, load_plan(name)).open()
        assert set(metrics()) <= set(world.installed)
        await world.close()


async def test_every_metric_answers_from_any_database(server: EmbeddedClickHouse) -> None:
    """With its defaults, as `streamgauge.NAME(...)` by a client that is in the database `default`, and as in its
    example; over no events, by a plan that names few meanings; with the columns that its chart draws."""
    plan = load_plan("ecom")
    world = await World(server, plan).open()
    client = await connect(world.settings, database=False)
    try:
        for name, metric in metrics().items():
            sql = query(metric, Limits()).replace(f"FROM {name}", f"FROM {world.settings.clickhouse_database}.{name}")
            given = bound(arguments_for(metric, {}, plan, date(2026, 11, 30)))
            found = await client.raw_query(sql, parameters=given, fmt="TabSeparatedWithNames")
            columns = found.decode().partition("\n")[0].split("\t")
            assert {metric.chart.x, *metric.chart.y, metric.chart.series} - {""} <= set(columns), name
            await world.sql(metric.example)
    finally:
        await client.close()
        await world.close()


async def test_as_a_person_asks(world: World) -> None:
    """The call of a parameterised view, as it stands in a query by curl."""
    await world.tell([event("a", "join", "2026-11-01 10:00"), event("a", "open", "2026-11-02 10:00")])
    sql = (
        f"SELECT n, classic FROM {world.settings.clickhouse_database}.retention"
        "(from = '2026-11-01', to = '2026-11-02', period = 'day') FORMAT CSV"
    )
    login = aiohttp.encode_basic_auth("default", world.settings.clickhouse_password.get_secret_value())
    async with (
        aiohttp.ClientSession(headers={"Authorization": login}) as session,
        session.post(world.settings.clickhouse_url, data=sql) as response,
    ):
        assert await response.text() == "0,1\n1,1\n"


async def test_meanings_are_facts(world: World) -> None:
    await world.tell(
        [
            event("a", "buy", "2026-11-01 10:00", {"amount": 19.99, "order_id": "o1", "coupon": "TEN"}),
            event("a", "buy", "2026-11-02 00:00", {"amount": 5, "order_id": "o2"}),
            event("a", "refund", "2026-11-02 10:00", {"amount": 19.99, "order_id": "o1"}),
            event("a", "ad", "2026-11-02 11:00", {"earned": 0.0123, "ad": "x"}),
            event("a", "answer", "2026-11-02 12:00", {"survey": "nps", "score": 9}),
            event("b", "answer", "2026-11-02 12:00", {"survey": "nps"}),
            event("a", "look", "2026-11-02 13:00", {"item_id": "i1", "category": "shoes"}),
            event("b", "look", "2026-11-02 13:00", {"item_id": "i1", "category": "hats"}),
            event("b", "joinsale", "2026-11-02 13:00", {"sale": "eleven"}),
        ]
    )
    assert await world.sql("SELECT toString(day), toString(amount), order_id FROM payments ORDER BY ts") == [
        ("2026-11-01", "19.99", "o1"), ("2026-11-02", "5", "o2"),
    ]  # fmt: skip
    assert await world.sql("SELECT toString(amount), order_id FROM refunds") == [("-19.99", "o1")]
    assert await world.sql("SELECT actor, code FROM coupons") == [("a", "TEN")]
    assert await world.sql("SELECT toString(revenue), ad FROM ad_impressions") == [("0.0123", "x")]
    assert await world.sql("SELECT actor, score FROM survey_answers ORDER BY actor") == [("a", 9.0), ("b", None)]
    assert await world.sql("SELECT actor, step, step_name FROM onboarding_events ORDER BY ts, actor") == [
        ("a", 3, "buy"), ("a", 3, "buy"), ("a", 2, "seen a shoe"),
    ]  # fmt: skip
    assert await world.sql("SELECT actor, action, item FROM content_actions ORDER BY actor") == [
        ("a", "view", "i1"), ("b", "view", "i1"),
    ]  # fmt: skip
    assert await world.sql("SELECT participated FROM participations") == [("eleven",)]
    assert await world.sql("SELECT count() FROM registrations") == [(0,)]
    assert await world.sql("SELECT new_days, at_risk_days, dormant_days, session_gap_ms, timezone FROM thresholds") == [
        (7, 14, 30, 1_800_000, "Europe/Berlin"),
    ]  # fmt: skip


async def test_any_dimension(world: World) -> None:
    await world.tell([event("a", "look", "2026-11-01 10:00", {"item_id": "i1", "price": 3}, platform="ios")])
    for dimension, value in (
        ("", ""), ("platform", "ios"), ("event", "look"), ("properties.item_id", "i1"), ("properties.price", "3"),
        ("properties.none", ""), ("country", ""),
    ):  # fmt: skip
        assert await world.sql(f"SELECT by FROM activity_by(dimension = '{dimension}')") == [(value,)]


async def test_several_events_of_one_meaning(server: EmbeddedClickHouse) -> None:
    """Each with its own fields and conditions; an event that fits two is taken once, by the first."""
    plan = parse_plan(
        """
product: Test
timezone: Asia/Shanghai
events:
  buy: {value: amount, properties: {amount: number!, order: string}}
  renew: {properties: {price: number, kind: string, none: number}}
meanings:
  payment:
    - {event: buy, order_id: properties.order}
    - {event: renew, amount: properties.price, where: {properties.kind: "it's paid"}}
    - {event: renew, amount: properties.none, where: {properties.price: {gt: 0}}}
  participation: {event: buy, campaign: channel}
  invite_accepted: {event: renew, inviter: anonymous_id}
"""
    )
    world = await World(server, plan).open()
    await world.tell(
        [
            event("a", "buy", "2026-11-01 00:00", {"amount": 10, "order": "o1"}, channel="ads"),
            event("b", "renew", "2026-11-01 01:00", {"price": 7.77, "kind": "it's paid"}, anonymous_id="x"),
            event("c", "renew", "2026-11-01 02:00", {"price": 5, "kind": "trial"}),
            event("d", "renew", "2026-11-01 03:00", {"price": 0, "kind": "trial"}),
        ]
    )
    assert await world.sql("SELECT actor, toString(day), toString(amount), order_id FROM payments ORDER BY ts") == [
        ("a", "2026-11-01", "10", "o1"), ("b", "2026-11-01", "7.77", "e1"), ("c", "2026-11-01", "0", "e2"),
    ]  # fmt: skip
    assert await world.sql("SELECT actor, participated FROM participations") == [("a", "ads")]
    assert await world.sql("SELECT actor, inviter FROM invites_accepted ORDER BY ts") == [
        ("b", "x"), ("c", ""), ("d", ""),
    ]  # fmt: skip
    await world.close()
