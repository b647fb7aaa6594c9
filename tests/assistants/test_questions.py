"""Explore's questions as an assistant asks them: by address or arguments, with the same answer as its own SQL."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from metrics.world import World

from assistants.asking import assistant, variables
from pipeline.embedded.clickhouse import EmbeddedClickHouse
from pipeline.kept.store import Edit, KeptStore
from pipeline.kept.things import make
from pipeline.metrics import metrics

pytestmark = pytest.mark.integration

DAYS = {"first_day": "2026-11-08", "last_day": "2026-11-14"}
IN = "from=2026-11-08&to=2026-11-14"
#: The words of a product manager, and the same question as arguments and as the address of the dashboard's page.
SAME: list[tuple[str, dict[str, Any], str]] = [
    ("How many people searched a day, by platform? 每天有多少人搜索，按平台分？",
     {"kind": "trend", "series": [{"events": ["search"]}], "by": ["platform"]},
     f"kind=trend&{IN}&m1=people&e1=search&by=platform"),
    ("Purchases per visit of the shop, against the week before. 每次访问的购买数，与上周比。",
     {"kind": "trend", "series": [{"events": ["purchase"], "measure": "count"}, {"events": ["app_open"], "measure": "count"}],
      "formulas": ["A / B %"], "compare": "week"},
     f"kind=trend&{IN}&m1=count&e1=purchase&m2=count&e2=app_open&x1=A+%2F+B+%25&than=week"),
    ("What was paid by hour on the last day? 最后一天每小时的支付额？",
     {"kind": "trend", "grain": "hour", "series": [{"events": ["purchase"], "measure": "sum", "property": "value"}],
      "first_day": "2026-11-14"},
     "kind=trend&grain=hour&from=2026-11-14&to=2026-11-14&m1=sum&e1=purchase&p1=value"),
    ("From the cart to the order within a day, on each platform. 从加购到下单，一天内，分平台。",
     {"kind": "funnel", "steps": [{"events": ["add_to_cart"]}, {"events": ["purchase"]}], "window": "1d", "by": ["platform"]},
     f"kind=funnel&{IN}&e1=add_to_cart&e2=purchase&window=1d&by=platform"),
    ("The funnel of the plan, of those who came by ads. 方案里的结算漏斗，只看广告来的。",
     {"kind": "funnel", "funnel": "checkout", "filters": [{"field": "channel", "values": ["ads"]}]},
     f"kind=funnel&{IN}&funnel=checkout&channel=ads"),
    ("Who signs up: do they buy in the days after? 注册的人之后几天会购买吗？",
     {"kind": "retention", "back": {"events": ["purchase"]}},
     f"kind=retention&{IN}&e2=purchase"),
    ("How often do people search? 人均搜索多少次？",
     {"kind": "distribution", "of_events": {"events": ["search"]}},
     f"kind=distribution&{IN}&e1=search&of=times"),
    ("How much does each buyer spend? 每个买家花多少？",
     {"kind": "distribution", "of_events": {"events": ["purchase"]}, "of": "sum", "property": "value"},
     f"kind=distribution&{IN}&e1=purchase&of=sum&p1=value"),
    ("Who is new, comes back, falls away, of buyers of two orders? 至少买过两次的人里，新增、回访、沉睡？",
     {"kind": "lifecycle", "segment_rules": [{"rule": "did", "event": "purchase", "times": 2}]},
     f"kind=lifecycle&{IN}&seg=in&g1=did&g1e=purchase&g1n=2"),
    ("What do people do after a search? 搜索之后做什么？",
     {"kind": "paths", "event": "search", "depth": 2},
     f"kind=paths&{IN}&event=search&depth=2"),
]  # fmt: skip


async def test_arguments_and_address_are_the_same_question_and_its_sql_gives_the_answer(
    world: World, server: EmbeddedClickHouse
) -> None:
    async with assistant(variables(world, server)) as asking:
        for words, given, address in SAME:
            by_arguments = await asking.ask("ask_question", **{**DAYS, **given})
            for written in (address, f"http://127.0.0.1:9110/explore?{address}&lang=zh"):
                by_address = await asking.ask("ask_question", address=written)
                assert {**by_arguments, "answered_at": ""} == {**by_address, "answered_at": ""}, words
            assert by_arguments["tables"], words
            for table in by_arguments["tables"].values():
                assert table["rows"], words
                names = [column["name"] for column in table["columns"]]
                assert all(list(row) == names for row in table["rows"])
            # Its address leads to the same answer, in the dashboard too.
            again = await asking.ask("ask_question", address=by_arguments["address"])
            assert again["tables"] == by_arguments["tables"], words
            assert by_arguments["time_zone"] == "Asia/Shanghai"
            assert set(by_arguments["definition"]) == {"en", "zh"}
            for sql in by_arguments["sql"].values():
                assert await world.sql(sql)


async def test_the_figures_are_those_of_the_events(world: World, server: EmbeddedClickHouse) -> None:
    async def one(sql: str) -> Any:
        return (await world.sql(sql))[0][0]

    days = "toDate(ts, 'Asia/Shanghai') BETWEEN '2026-11-08' AND '2026-11-14'"
    async with assistant(variables(world, server)) as asking:
        trend = await asking.ask(
            "ask_question",
            kind="trend",
            **DAYS,
            series=[{"events": ["search"]}, {"events": ["search"], "measure": "count"}],
        )
        rows = trend["tables"]["answer"]["rows"]
        assert [row["at"] for row in rows] == ["", *(f"2026-11-{day:02}" for day in range(8, 15))]
        assert rows[0]["A"] == await one(f"SELECT uniqExact(person) FROM events WHERE event = 'search' AND {days}")
        assert rows[0]["B"] == sum(row["B"] for row in rows[1:])
        assert rows[0]["A"] < sum(row["A"] for row in rows[1:])
        assert "a person of two periods is one person" in " ".join(trend["notes"])
        # The funnel of Explore and that of the catalogue count alike.
        built = await asking.ask("ask_question", kind="funnel", funnel="checkout", **DAYS)
        catalogue = await asking.ask("run_metric", name="funnel", parameters={"from": "2026-11-08", "to": "2026-11-14"})
        assert [row["users"] for row in built["tables"]["answer"]["rows"]] == [
            row["users"] for row in catalogue["rows"]
        ]
        # Retention of everybody who came in the days, and of all cohorts together.
        back = await asking.ask("ask_question", kind="retention", **DAYS, start={}, every_time=True)
        first = next(
            row for row in back["tables"]["by_cohort"]["rows"] if (row["cohort"], row["n"]) == ("2026-11-08", 1)
        )
        came = "SELECT person FROM events WHERE toDate(ts, 'Asia/Shanghai') = '2026-11-{}'"
        assert first["users"] == await one(f"SELECT uniqExact(person) FROM ({came.format('08')})")
        both = f"SELECT uniqExact(person) FROM ({came.format('08')}) WHERE person IN ({came.format('09')})"
        assert first["returned"] == await one(both)
        at_once = back["tables"]["all_cohorts"]["rows"][0]
        assert (at_once["n"], at_once["rate"]) == (0, 1.0)


async def test_the_people_behind_each_kind_of_number_are_as_many_as_it_says(
    world: World, server: EmbeddedClickHouse
) -> None:
    async with assistant(variables(world, server)) as asking:

        async def behind(address: str, **number: Any) -> int:
            found = await asking.ask("people_behind", address=address, rows=3, **number)
            assert len(found["rows"]) == min(3, found["rows_in_all"])
            assert all(row["user_id"] or row["device"] for row in found["rows"])
            assert all(re.fullmatch(r"2026-1\d-\d\dT\d\d:\d\d:\d\d\+08:00", row["last_seen"]) for row in found["rows"])
            return int(found["rows_in_all"])

        async def rows(address: str, table: str = "answer") -> list[dict[str, Any]]:
            found: list[dict[str, Any]] = (await asking.ask("ask_question", address=address))["tables"][table]["rows"]
            return found

        trend = SAME[0][2]
        row = next(row for row in await rows(trend) if row["at"])
        assert await behind(trend, n=0, at=row["at"], values=[row["platform"]]) == row["A"] > 0
        funnel = SAME[3][2]
        row = next(row for row in await rows(funnel, "by platform") if row["n"] == 1)
        assert await behind(funnel, n=1, values=[row["platform"]]) == row["users"] > 0
        assert await behind(funnel, n=1, values=[row["platform"]], lost=True) == row["lost"] > 0
        retention = f"kind=retention&{IN}&e1=&e2=purchase&first=every"
        row = next(row for row in await rows(retention, "by_cohort") if row["n"] == 1 and row["returned"])
        assert await behind(retention, n=1, at=row["at"]) == row["returned"]
        assert await behind(retention, n=-1, at=row["at"]) == row["users"]
        for address in (SAME[6][2], SAME[7][2]):
            for row in await rows(address):
                assert await behind(address, at=row["at"]) == row["people"]
        lifecycle = SAME[8][2]
        row = (await rows(lifecycle))[0]
        states = ("new", "returning", "resurrected", "dormant")
        assert [await behind(lifecycle, n=n, at=row["at"]) for n in range(4)] == [row[state] for state in states]
        paths = SAME[9][2]
        row = (await rows(paths))[0]
        assert await behind(paths, at=row["at"]) == row["users"]
        # An address of the page of people names the number by itself.
        assert await behind(f"/people?{funnel}&n=1&lost=1") == sum(r["lost"] for r in await rows(funnel) if r["n"] == 1)


async def test_a_segment_that_was_kept_in_the_dashboard_is_one_of_its_links(
    world: World, server: EmbeddedClickHouse, tmp_path: Path
) -> None:
    path = tmp_path / "kept.sqlite"
    kept = variables(world, server, PIPELINE_KEPT=str(path))
    rules = {"g": "every", "g1": "did", "g1e": "purchase", "g1n": "2"}
    asked = f"kind=trend&{IN}&m1=people"
    async with assistant(kept) as asking:
        assert "the plan has no segment 'often'" in await asking.refused(
            "ask_question", {"address": f"{asked}&seg=in:often"}
        )
        assert not path.exists()
        KeptStore(path).write(
            [Edit("segment", "often", 0, make("segment", {"title": "Often", "address": rules}))], "ann", 1
        )
        by_name = await asking.ask("ask_question", address=f"{asked}&seg=in:often")
        by_rules = await asking.ask("ask_question", address=f"{asked}&seg=in&{urlencode(rules)}")
        assert by_name["tables"] == by_rules["tables"]
        assert by_name["segment"] == "often"


async def test_no_metric_names_a_person_where_people_may_not_be_looked_at(
    world: World, server: EmbeddedClickHouse
) -> None:
    days = {"from": "2026-10-25", "to": "2026-11-21", "until": "2026-11-21", "on": "2026-11-21", "actor": "u1"}
    days |= {"compare_from": "2026-10-25", "compare_to": "2026-11-07"}
    given = {m.name: {p.name: days[p.name] for p in m.parameters if p.name in days} for m in metrics().values()}
    ids = {row[0] for row in await world.sql("SELECT DISTINCT person FROM events")}
    assert len(ids) > 500
    async with assistant(variables(world, server)) as asking:
        listed = set()
        for name, parameters in given.items():
            found = await asking.ask("run_metric", name=name, parameters=parameters)
            if any(value in ids for row in found["rows"] for value in row.values()):
                listed.add(name)
        listed -= {"user_profile"}
        assert listed >= {"buyers", "content_creators", "top_inviters", "users_in_segment"}
    refused = "and this installation shows no single people (PIPELINE_DASHBOARD_PEOPLE)"
    async with assistant(variables(world, server, PIPELINE_DASHBOARD_PEOPLE="false")) as asking:
        assert "people_behind" not in [tool.name for tool in (await asking.client.list_tools()).tools]
        assert refused in await asking.refused("people_behind", {"address": SAME[0][2]})
        assert refused in await asking.refused("run_metric", {"name": "user_profile", "parameters": {"actor": "u1"}})
        refused_field = f"'user.email' is an attribute of users, {refused}: ask by a segment of the plan"
        asked = {"kind": "trend", "by": ["user.email"]}
        assert refused_field in await asking.refused("ask_question", asked)
        only = {"name": "active_users_daily", "filters": [{"field": "user.email", "values": ["ann@example.com"]}]}
        assert refused_field in await asking.refused("run_metric", only)
        for name in listed:
            line = await asking.refused("run_metric", {"name": name, "parameters": given[name]})
            assert line == f"{name} lists single people, {refused}"
        for name in ("active_users_daily", "retention", "channel_quality"):
            assert (await asking.ask("run_metric", name=name, parameters=given[name]))["metric"] == name
