"""The views: made once, made anew when something changed, and facts that are the plan's meanings."""

from __future__ import annotations

from catalogue.world import PLAN, World, event

from pipeline.catalogue import install, metrics
from pipeline.local.clickhouse import EmbeddedClickHouse
from schemas.meanings import Meanings
from schemas.plan_io import load_plan, ready_plans


async def test_only_what_changed_is_made_again(server: EmbeddedClickHouse) -> None:
    world = await World(server.url).open()
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
    await world.connection.close()


async def test_every_ready_plan_can_be_installed(server: EmbeddedClickHouse) -> None:
    for name in ready_plans():
        world = await World(server.url, load_plan(name)).open()
        assert "payments" in world.installed
        for name_of_metric in metrics():
            await world.table(name_of_metric)  # with its defaults, over no events
        await world.connection.close()


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
