"""The catalogue of a plan whose names mean something to SQL, templates or clients: every view keeps them apart."""

from __future__ import annotations

import pytest
import yaml

from metrics.world import World, event
from pipeline.embedded.clickhouse import EmbeddedClickHouse
from schemas.plan import Plan
from schemas.plan_io import parse_plan

NAMES = [
    "$pageview", "支付成功", "Sign Up (Google)", "it's", 'say "hi"', "back\\slash", "\\'", "{x:String}", "{database}",
    "{dimension:String}", "{{ .Value }}", "%s %(a)s 100%", "?", "a/b?c=d&e#f", "'; DROP TABLE events_raw; --", "`tick`",
    "/* */", "null", "re\u0301sume\u0301", "🛒", "a.b", "a,b", "$1", "$a$", "1", "a" * 200,
]  # fmt: skip
#: So many names have their two steps each in the onboarding of a plan, which has at most 16.
STEPS = 8
DAY = {"from_": "2026-11-01", "to": "2026-11-01"}


def plan_of(names: list[str]) -> Plan:
    """Each name is an event, a property, a value, a step and a funnel; beside each an event with a plain name."""
    own = {name: f"properties.{name}" for name in names}
    events, meanings, funnels = {}, {"payment": [], "share": [], "onboarding": [], "content_view": []}, {}
    for number, name in enumerate(names):
        plain, mark = f"plain{number}", f"is {name}"[:200]
        events[name] = {"value": name, "properties": {name: "number", mark: "string"}}
        events[plain] = {"properties": {name: "string"}}
        paid = {"event": name, "amount": own[name], "where": {f"properties.{mark}": name}}
        meanings["payment"].append(paid)
        meanings["share"].append({"event": plain, "item": own[name], "where": {own[name]: name}})
        meanings["onboarding"] += [plain, {"event": name, "name": name}]
        meanings["content_view"].append({"event": plain, "item": own[name]})
        funnels[name] = {"steps": [plain, {"event": name, "name": name}]}
    text = {"product": "Names", "registration": "plain0", "events": events, "meanings": meanings, "funnels": funnels}
    return parse_plan(yaml.safe_dump(text, allow_unicode=True))


@pytest.mark.parametrize("first", range(0, len(NAMES), STEPS))
async def test_a_name_is_itself(server: EmbeddedClickHouse, first: int) -> None:
    """Several in one plan: to install its catalogue takes longer than what is asked of one name."""
    names = NAMES[first : first + STEPS]
    numbered = list(enumerate(names))
    world = await World(server, plan_of(names)).open()
    told = []
    for n, name in numbered:
        told += [
            event(f"a{n:02}", f"plain{n}", "2026-11-01 10:00", {name: name}),
            event(f"a{n:02}", name, "2026-11-01 10:01", {name: 5, f"is {name}"[:200]: name}),
            event(f"b{n:02}", f"plain{n}", "2026-11-01 10:00", {name: "x" + name}),
            event(f"b{n:02}", name, "2026-11-01 10:01", {name: 7, f"is {name}"[:200]: ""}),
        ]
    await world.tell(told)
    paid = await world.sql("SELECT actor, toFloat64(amount) FROM payments ORDER BY actor")
    assert paid == [(f"a{n:02}", 5.0) for n, _ in numbered]
    assert await world.sql("SELECT actor, item FROM shares ORDER BY actor") == [
        (f"a{n:02}", name) for n, name in numbered
    ]
    steps = await world.sql("SELECT DISTINCT step_name FROM onboarding_events ORDER BY step")
    assert steps == [(step,) for n, name in numbered for step in (f"plain{n}", name)]
    items = await world.sql("SELECT item FROM content_actions ORDER BY actor")
    assert items == [(name,) for name in names] + [("x" + name,) for name in names]
    # By way of bound parameters, as the dashboard and `metrics run` ask.
    for n, name in numbered:
        steps = await world.ask("funnel", "event users", steps=[f"plain{n}", name], within=3600, **DAY)
        assert steps == [(f"plain{n}", 2), (name, 2)]
        by = await world.ask("active_users_by", "value events", dimension=f"properties.{name}", **DAY)
        assert sorted(row for row in by if row[0]) == sorted([("5", 1), ("7", 1), (name, 1), ("x" + name, 1)])
    await world.close()
