"""`streamgauge alerts test`: when alerts would have fired, from events in ClickHouse."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from whole_system import command

from pipeline.alerts.explain import explain
from pipeline.alerts.history import Fired, look_back, replay, spells
from pipeline.clickhouse.client import Connection
from pipeline.clickhouse.migrate import migrate
from pipeline.embedded.clickhouse import EmbeddedClickHouse
from pipeline.insight.contribution import SegmentChange
from pipeline.metrics import install
from pipeline.settings import Settings
from schemas.alerts import Alert
from schemas.plan_io import load_plan, parse_plan

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
#: 2026-10-01T00:00:00Z
T0 = 1_790_812_800_000
PLAN = """
product: Test
dimensions: [event, platform, [event, platform]]
events: {look: , pay: {value: amount, properties: {amount: number!}}}
funnels:
  buying: {steps: [look, pay], window: 10m, bucket: day, breakdown: [platform]}
alerting:
  labels: [event, platform, [event, platform]]
  receivers: {team: {print: true}}
  alerts:
    pays_drop:
      {metric: events, event: pay, by: platform, drop: 50%, against: yesterday, over: 5m, for: 2m, keep: 1m,
       at_least: 30}
    pays_less: {metric: conversion, funnel: buying, step: pay, below: 60%, over: 10m, for: 2m, keep: 1m, at_least: 50}
    quiet: {metric: events, event: look, absent: true, against: yesterday, over: 5m, for: 0s}
    behind: {metric: lag, above: 1m}
"""
#: On each of two days from 10:00 to 11:30 ten users a minute and platform look and pay; on the second day nobody pays
#: on Android from 10:40 to 11:00.
EVENTS = f"""
INSERT INTO events_raw
    (stream, partition, offset, event, event_id, actor, user_id, ts, platform, value, properties, ingested_at)
SELECT 'main', 0, rowNumberInAllBlocks(), event, toString(rowNumberInAllBlocks()), actor, actor,
       fromUnixTimestamp64Milli(toInt64(at), 'UTC'), platform,
       event = 'pay', if(event = 'pay', '{{"amount":1}}', '{{}}'), now64(3)  -- rows of old records would be removed
FROM (
    SELECT
        concat(platform, toString(day), '-', toString(minute), '-', toString(user)) AS actor,
        {T0} + day * {DAY} + 10 * {HOUR} + minute * {MINUTE} + user * 5000 + (event = 'pay') * 1000 AS at,
        day, minute, user, platform, event
    FROM (SELECT arrayJoin(range(2)) AS day, arrayJoin(range(90)) AS minute, arrayJoin(range(10)) AS user,
                 arrayJoin(['ios', 'android']) AS platform, arrayJoin(['look', 'pay']) AS event)
    WHERE NOT (day = 1 AND platform = 'android' AND event = 'pay' AND minute >= 40 AND minute < 60)
    ORDER BY at
)
"""


FEWER = Alert(metric="events", event="pay", drop="20%", against="yesterday", over="5m")  # type: ignore[arg-type]
LESS = Alert(
    metric="conversion",
    funnel="buying",
    step="pay",
    below="60%",
    over="5m",
    hold_for="1m",  # type: ignore[arg-type]
)


@pytest.mark.integration
@pytest.mark.usefixtures("needs_prometheus", "needs_embedded")
async def test_history_says_when_alerts_would_have_fired(tmp_path: Path) -> None:
    (tmp_path / "plan.yaml").write_text(PLAN, "utf-8")
    async with EmbeddedClickHouse(tmp_path) as clickhouse:
        settings = Settings(**clickhouse.access, plan=str(tmp_path / "plan.yaml"))
        await migrate(settings)
        await install(settings, parse_plan(PLAN))
        connection = Connection(settings)
        await connection.run(lambda client: client.command(EVENTS))
        await connection.close()
        span = ["--from", "2026-10-02T10:20", "--to", "2026-10-02T11:25"]
        environment = {**clickhouse.environment, "PIPELINE_PLAN": str(tmp_path / "plan.yaml")}
        done = command("alerts", "test", *span, env=environment)
        as_json = json.loads(command("alerts", "test", *span, "--json", env=environment).stdout)
        other = command("alerts", "test", *span, "--plan", "shop", env=environment)
        heard: list[tuple[int, int]] = []
        start, end = T0 + DAY + 620 * MINUTE, T0 + DAY + 685 * MINUTE
        await replay(settings, parse_plan(PLAN), start, end, lambda done, total: heard.append((done, total)))
        found = [await explain(settings, parse_plan(PLAN), alert, T0 + DAY + 10 * HOUR + 50 * MINUTE + 5_000)
                 for alert in (FEWER, LESS, Alert(metric="lag", above=60))]  # fmt: skip
    assert done.returncode == 0, done.stderr
    # It takes minutes of a long history: what it does is said at once, and how far it is.
    assert done.stderr.splitlines()[0] == (
        "counting the events of 2026-10-02 10:20 UTC to 2026-10-02 11:25 UTC, and as far back as the alerts look"
    )
    assert heard[0][0] == 0
    assert heard == sorted(heard)
    assert heard[-1][0] == heard[-1][1] == end - (start - DAY - 11 * MINUTE)
    # Another plan's alerts say nothing of these events.
    assert other.returncode == 2
    assert "has the events of 'Test', not of 'Demo shop': give its plan with --plan" in other.stderr
    # At 10:45 the minutes 10:38 to 10:43 are looked at, four of them without: below half, and two minutes later told.
    # At 11:04 three of six are full again: half is not below half, and a minute later it is over.
    assert done.stdout.splitlines() == [
        "pays_drop (android) from 2026-10-02 10:47 UTC to 2026-10-02 11:05 UTC: 0 to 5",
        "pays_less from 2026-10-02 10:51 UTC to 2026-10-02 11:03 UTC: 0.5 to 0.6",
        "would not have fired: quiet",
        "have no history: behind",
    ]
    assert [(f["alert"], f["segment"]) for f in as_json["fired"]] == [("pays_drop", "android"), ("pays_less", "")]
    assert as_json["fired"][1]["lowest"] == 0.5
    # Half of the users are on Android, and all that is missing is missing there. Of a conversion: an hour before
    # there was nothing, so it is the time just before what happened.
    assert found == [
        SegmentChange("platform", "android", 50.0, 0.0, 1.0, 0.5, pytest.approx(-50 / 50**0.5)),
        SegmentChange("platform", "android", 1.0, 0.0, 1.0, 0.5, pytest.approx(-10.0), 50, 50),
        None,
    ]


def test_as_much_history_is_read_as_the_alerts_look_back() -> None:
    plan = parse_plan(PLAN)
    assert look_back(plan) == DAY + 11 * MINUTE
    assert look_back(load_plan("shop")) == 7 * DAY + 136 * MINUTE


SAID = r"""
  FAILED:
    expr: "ALERTS{alertstate=\"firing\",kind!~\"cause|pipeline\"}", time: 1d2m,
        exp: nil
        got: {__name__="ALERTS", alertname="a", alertstate="firing", rule="a", segment="b \"c\", {d}"} 1E+00, {__name__="ALERTS", alertname="b", alertstate="firing", rule="b"} 1E+00
    expr: "last_over_time(streamgauge:alert_value[5m]) and on(rule, segment) ALERTS{alertstate=\"firing\",kind!~\"cause|pipeline\"}", time: 1d2m,
        exp: nil
        got: {rule="a", segment="b \"c\", {d}"} 2.5E+00, {rule="b"} 3E+00
    expr: "ALERTS{alertstate=\"firing\",kind!~\"cause|pipeline\"}", time: 1d3m,
        exp: nil
        got: {__name__="ALERTS", alertname="b", alertstate="firing", rule="b"} 1E+00
    expr: "last_over_time(streamgauge:alert_value[5m]) and on(rule, segment) ALERTS{alertstate=\"firing\",kind!~\"cause|pipeline\"}", time: 1d3m,
        exp: nil
        got: {rule="b"} 1E+00
"""  # noqa: E501


def test_what_promtool_says_becomes_spans_of_time() -> None:
    at = T0 + DAY
    assert spells(SAID, T0, at + 3 * MINUTE) == [
        Fired("a", 'b "c", {d}', at + 2 * MINUTE, at + 3 * MINUTE, 2.5, 2.5, 2.5),
        Fired("b", "", at + 2 * MINUTE, None, 3.0, 1.0, 3.0),
    ]


def test_times_that_make_no_sense_are_said() -> None:
    done = command("alerts", "test", "--from", "yesterday")
    assert done.stderr == "streamgauge: --from yesterday: write 2026-11-20T08:00, or how long ago: 7d, 12h\n"
    done = command("alerts", "test", "--from", "1h", "--to", "2h")
    assert done.stderr == "streamgauge: --from must be before --to\n"
