"""The catalogue of a plan whose names mean something to SQL, templates or clients: every view keeps them apart."""

from __future__ import annotations

import pytest
import yaml

from metrics.world import World, event
from pipeline.embedded.clickhouse import EmbeddedClickHouse
from schemas.plan_io import parse_plan

NAMES = [
    "$pageview", "支付成功", "Sign Up (Google)", "it's", 'say "hi"', "back\\slash", "\\'", "{x:String}", "{database}",
    "{dimension:String}", "{{ .Value }}", "%s %(a)s 100%", "?", "a/b?c=d&e#f", "'; DROP TABLE events_raw; --", "`tick`",
    "/* */", "null", "re\u0301sume\u0301", "🛒", "a.b", "a,b", "$1", "$a$", "1", "a" * 200,
]  # fmt: skip
DAY = {"from_": "2026-11-01", "to": "2026-11-01"}


async def one_world(server: EmbeddedClickHouse, name: str) -> World:
    own = f"properties.{name}"
    plan = parse_plan(yaml.safe_dump({
        "product": "Names", "registration": "other",
        "events": {
            name: {"value": name, "properties": {name: "number", f"is {name}"[:200]: "string"}},
            "other": {"properties": {name: "string"}},
        },
        "meanings": {
            "payment": {"event": name, "amount": own, "where": {f"properties.{f'is {name}'[:200]}": name}},
            "share": {"event": "other", "item": own, "where": {own: name}},
            "onboarding": ["other", {"event": name, "name": name}],
            "content_view": {"event": "other", "item": own},
        },
        "funnels": {name: {"steps": ["other", {"event": name, "name": name}]}},
    }, allow_unicode=True))  # fmt: skip
    return await World(server, plan).open()


@pytest.mark.parametrize("name", NAMES)
async def test_a_name_is_itself(server: EmbeddedClickHouse, name: str) -> None:
    world = await one_world(server, name)
    mark = f"is {name}"[:200]
    await world.tell([
        event("u1", "other", "2026-11-01 10:00", {name: name}),
        event("u1", name, "2026-11-01 10:01", {name: 5, mark: name}),
        event("u2", "other", "2026-11-01 10:00", {name: "x" + name}),
        event("u2", name, "2026-11-01 10:01", {name: 7, mark: ""}),
    ])  # fmt: skip
    assert await world.sql("SELECT actor, toFloat64(amount) FROM payments") == [("u1", 5.0)]
    assert await world.sql("SELECT actor, item FROM shares") == [("u1", name)]
    assert await world.sql("SELECT DISTINCT step_name FROM onboarding_events ORDER BY step") == [("other",), (name,)]
    assert await world.sql("SELECT item FROM content_actions ORDER BY actor") == [(name,), ("x" + name,)]
    # By way of bound parameters, as the dashboard and `metrics run` ask.
    steps = await world.ask("funnel", "event users", steps=["other", name], within=3600, **DAY)
    assert steps == [("other", 2), (name, 2)]
    by = await world.ask("active_users_by", "value events", dimension=f"properties.{name}", **DAY)
    assert sorted(by) == sorted([("5", 1), ("7", 1), (name, 1), ("x" + name, 1)])
    await world.close()
