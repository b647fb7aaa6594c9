"""Whatever an assistant sends, it gets one clear line, and the next question is answered."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from metrics.world import World

from assistants.asking import Assistant, assistant, variables
from pipeline.assistants import arguments
from pipeline.assistants.tools import TOOLS
from pipeline.embedded.clickhouse import EmbeddedClickHouse
from pipeline.explore.address import KINDS
from pipeline.explore.filters import OPERATORS
from pipeline.explore.question import COUNTED, OF_PROPERTY
from pipeline.metrics import GROUPS

pytestmark = pytest.mark.integration

WEEK = {"from": "2026-11-15", "to": "2026-11-21"}
DAYS = {"first_day": "2026-11-15", "last_day": "2026-11-21"}
TREND = {"kind": "trend", **DAYS}
#: Tool, arguments, and the line.
REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("drop_table", {}, "there is no such tool: there are list_metrics, describe_metric, run_metric, ask_question, "
                       "people_behind, describe_plan"),
    ("list_metrics", {"group": "money"}, "group: input should be 'activity', 'acquisition', "),
    ("list_metrics", {"sql": "SELECT 1"}, "sql is no argument of this tool; it takes group, search"),
    ("describe_metric", {}, "name is missing"),
    ("describe_metric", {"name": "active_users_dayly"}, "there is no metric active_users_dayly: did you mean active_users_daily"),
    ("describe_metric", {"name": "x'); DROP TABLE events; --\n\x1b[2J"},
     "there is no metric x'); DROP TABLE events; --\\n\\x1b[2J; `streamgauge metrics list` shows all"),
    ("describe_metric", {"name": "x" * 3_000}, "name: string should have at most 2000 characters"),
    ("run_metric", {"name": "active_users_daily", "parameters": {"form": "2026-11-15"}},
     "active_users_daily has no parameter form: did you mean from?; it has from, to"),
    ("run_metric", {"name": "active_users_daily", "parameters": {**WEEK, "from": "yesterday"}},
     "active_users_daily: from is a day like 2026-11-30, not 'yesterday'"),
    ("run_metric", {"name": "active_users_daily", "parameters": {"from": "2026-11-21", "to": "2026-11-15"}},
     "active_users_daily: from (2026-11-21) is later than to (2026-11-15)"),
    ("run_metric", {"name": "active_users_daily", "parameters": {**WEEK, "to": {"a": 1}}}, "parameters.to"),
    ("run_metric", {"name": "active_users_by", "parameters": {**WEEK, "dimension": "1) OR (1=1"}}, "dimension: '1) OR (1=1'"),
    ("run_metric", {"name": "active_users_daily", "parameters": WEEK, "rows": 10_001},
     "rows: input should be less than or equal to 10000 (found '10001')"),
    ("run_metric", {"name": "active_users_daily", "parameters": WEEK, "filters": [{"field": "colour", "values": ["red"]}]},
     "'colour' is no field: use one of the envelope"),
    ("run_metric", {"name": "active_users_daily", "parameters": WEEK, "filters": [{"field": "platform", "values": []}]},
     "platform is what? Give a value"),
    ("run_metric", {"name": "active_users_daily", "parameters": WEEK, "segment": "in:nobody"}, "the plan has no segment 'nobody'"),
    ("run_metric", {"name": "active_users_daily", "parameters": WEEK, "segment": "loyal"},
     "segment is in:NAME or out:NAME of a segment of the plan"),
    ("run_metric", {"name": "active_users_daily", "parameters": WEEK, "segment": "in:a", "segment_rules": [{"rule": "did"}]},
     "a segment is one of the plan (segment), or made of segment_rules, not both"),
    ("ask_question", {}, "say which kind of question it is, or give an address"),
    ("ask_question", {"kind": "guess"}, "kind: input should be 'trend', 'funnel', 'retention', "),
    ("ask_question", {**TREND, "series": [{"events": ["serach"]}]}, "the plan has no event 'serach': did you mean search?"),
    ("ask_question", {**TREND, "series": [{"events": [""]}]}, "the name of an event is empty: for any event leave the list empty"),
    ("ask_question", {**TREND, "series": [{}] * 7}, "series: list should have at most 6 items after validation, not 7"),
    ("ask_question", {**TREND, "series": [{"measure": "people", "property": "value"}]},
     "a property goes with sum, average, median, p90, p95, p99, not with people"),
    ("ask_question", {**TREND, "formulas": ["A / system('rm')"]}, "the formula \"A / system('rm')\" has "),
    ("ask_question", {**TREND, "steps": [{"events": ["search"]}]}, "steps goes with funnel, not with trend"),
    ("ask_question", {**TREND, "compare_segment": "in:a"}, "compare_segment goes with compare = segment"),
    ("ask_question", {**TREND, "first_day": "2024-01-01"}, "from 2024-01-01 to 2026-11-21 are more than 366 days"),
    ("ask_question", {"kind": "funnel", **DAYS, "funnel": "chekout"}, "the plan has no funnel 'chekout': did you mean checkout?"),
    ("ask_question", {"kind": "funnel", **DAYS, "funnel": "checkout", "steps": [{"events": ["search"]}]},
     "a funnel is one of the plan's by name (funnel), or made of steps, not both"),
    ("ask_question", {"kind": "funnel", **DAYS, "steps": [{"events": ["search"]}, {}]}, "each of steps names an event"),
    ("ask_question", {"kind": "funnel", **DAYS, "steps": [{"events": ["search"]}]}, "a funnel has two steps at least: choose one more"),
    ("ask_question", {"kind": "lifecycle", **DAYS, "away": 0}, "away: input should be greater than or equal to 1 (found '0')"),
    ("ask_question", {"address": "metric=retention"}, "the address is that of a metric of the catalogue: use run_metric"),
    ("ask_question", {"address": "http://[::1/explore?kind=trend"}, "the address can't be read: Invalid IPv6 URL"),
    ("ask_question", {"address": "&".join(f"a{n}=1" for n in range(300))}, "the address can't be read: Max number of fields exceeded"),
    ("ask_question", {"address": "kind=trend", "kind": "trend", "by": []}, "an address says everything: leave out by, kind, or the address"),
    ("people_behind", {**TREND, "n": 3}, "n is the number of one of the series, from 0, not '3'"),
    ("people_behind", {**TREND, "rows": 201}, "rows: input should be less than or equal to 200 (found '201')"),
    ("people_behind", {**TREND, "by": ["platform"], "values": ["ios", "ads"]},
     "values are those of a row of the breakdown, one for each field of `by`"),
    ("describe_plan", {"part": "secrets"}, "part: input should be 'all', 'events', 'funnels', 'meanings' or 'segments'"),
]  # fmt: skip


async def test_each_mistake_is_one_line_and_the_next_question_is_answered(
    world: World, server: EmbeddedClickHouse
) -> None:
    async with assistant(variables(world, server)) as asking:
        for tool, given, line in REFUSED:
            assert (await asking.refused(tool, given)).startswith(line), (tool, given)
        assert len((await asking.ask("run_metric", name="active_users_daily", parameters=WEEK))["rows"]) == 7


#: What would be written, read beside the tables, or never end, if a text of an assistant reached ClickHouse as SQL.
ATTEMPTS = [
    "'", "\\", "\\'", "ios' OR 1=1 --", "']) OR sleep(3) --", "{v0:String}", "$$", "\0", "`", "’", "🙂" * 100,
    "ios'; INSERT INTO events_raw SELECT * FROM events_raw; --", "') UNION ALL SELECT * FROM file('/etc/passwd') --",
]  # fmt: skip


async def test_texts_are_values_wherever_they_stand(world: World, server: EmbeddedClickHouse) -> None:
    before = await world.sql("SELECT count(), sum(cityHash64(event_id)) FROM events_raw")

    async def nothing(asking: Assistant, text: str) -> None:
        only = [{"field": "platform", "values": [text]}, {"field": f"properties.{text}", "operator": "unset"}]
        if "\0" in text:
            only = only[:1]
        found = await asking.ask("run_metric", name="active_users_daily", parameters=WEEK, filters=only)
        assert [row["users"] for row in found["rows"]] == [0] * 7
        asked = {**TREND, "filters": only, "by": ["platform"]}
        assert (await asking.ask("ask_question", **asked))["tables"]["answer"]["rows"] == []
        found = await asking.ask("people_behind", **TREND, by=["platform"], values=[text], at=text)
        assert (found["rows"], found["rows_in_all"]) == ([], 0)
        found = await asking.ask("run_metric", name="paths_from", parameters={**WEEK, "start": text})
        assert found["rows"] == []
        rules = [{"rule": "has", "where": {"field": "plan", "values": [text]}}]
        found = await asking.ask("ask_question", **TREND, segment_rules=rules)
        assert {row["A"] for row in found["tables"]["answer"]["rows"]} <= {0}

    async with assistant(variables(world, server)) as asking:
        for text in ATTEMPTS:
            await nothing(asking, text)
    assert await world.sql("SELECT count(), sum(cityHash64(event_id)) FROM events_raw") == before


async def test_an_answer_is_no_longer_than_asked_for_and_says_what_is_missing(
    world: World, server: EmbeddedClickHouse
) -> None:
    async with assistant(variables(world, server)) as asking:
        found = await asking.ask("run_metric", name="active_users_daily", parameters=WEEK, rows=3)
        assert ([row["day"] for row in found["rows"]], found["rows_in_all"]) == (
            ["2026-11-15", "2026-11-16", "2026-11-17"],
            7,
        )
        assert found["cut"] == "the first 3 rows of 7: ask for more by `rows`, or for fewer days or values"
        found = await asking.ask("ask_question", **TREND, rows=1)
        assert (len(found["tables"]["answer"]["rows"]), found["tables"]["answer"]["rows_in_all"]) == (1, 8)
        # A word that says nothing of such a question is said to have been left aside.
        found = await asking.ask("ask_question", address="kind=trend&from=2026-11-15&to=2026-11-21&depth=3&m_1=people")
        assert found["notes"][-1] == "not used, as they say nothing of such a question: depth, m_1"


async def test_of_days_that_are_not_over_it_is_said(world: World, server: EmbeddedClickHouse) -> None:
    line = "today is not over: its figures are those so far, and are not to be compared with whole days"
    async with assistant(variables(world, server)) as asking:
        assert line in (await asking.ask("run_metric", name="active_users_daily"))["notes"]
        assert line not in (await asking.ask("run_metric", name="active_users_daily", parameters=WEEK))["notes"]
        found = await asking.ask(
            "run_metric", name="active_users_daily", parameters={"from": "1999-01-01", "to": "1999-01-02"}
        )
        assert [row["users"] for row in found["rows"]] == [0, 0]


def test_the_words_of_the_tools_are_those_of_catalogue_and_explore() -> None:
    assert get_args(arguments.Groups) == tuple(GROUPS)
    assert get_args(arguments.Operator) == tuple(OPERATORS)
    assert get_args(arguments.Kind) == KINDS
    assert set(get_args(arguments.Measure)) == {*COUNTED, *OF_PROPERTY}
    assert [tool.name for tool in TOOLS if tool.of_people] == ["people_behind"]


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_a_tool_says_of_each_argument_what_it_is(tool: Any) -> None:
    schema = tool.takes.model_json_schema()
    assert (schema["type"], schema["additionalProperties"]) == ("object", False)
    assert [name for name, one in schema["properties"].items() if not one.get("description")] == []
