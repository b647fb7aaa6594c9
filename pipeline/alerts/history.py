"""`streamgauge alerts test`: when each alert would have fired, from the raw events in ClickHouse.

The events are counted by the worker's own fold and shown by its own metrics, minute for minute as of then; promtool
runs the very rules over them with Prometheus's engine, durations included. Two things are not as they were: events
count at the time they happened (not when they arrived), and nothing was ever down. So alerts on lag and freshness, and
that of missing data, have no history.
"""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from pipeline.alerts import rules
from pipeline.alerts.conditions import VALUE, back_of
from pipeline.clickhouse.client import Connection, require_product, require_stream
from pipeline.errors import DependencyError, UserError
from pipeline.ingest.records import Outcome
from pipeline.ingest.validate import Validator
from pipeline.queries.conditions import moments_sql, quoted
from pipeline.serve import names
from pipeline.serve.complete import Minutes
from pipeline.serve.samples import Sample, funnel_buckets, product_samples
from pipeline.settings import Settings
from pipeline.state.partition import PartitionState
from schemas.alerts import PIPELINE
from schemas.duration import DAY, HOUR, MINUTE
from schemas.event import CONTEXT_FIELDS, Event
from schemas.plan import Plan

#: Rules are evaluated once a minute here: no figure of complete minutes changes more often.
STEP: Final = MINUTE
FIRING: Final = 'ALERTS{alertstate="firing",kind!~"cause|pipeline"}'
_FAILED: Final = re.compile(r'^\s*expr: "(?P<expr>.*)", time: (?P<time>\S+),$')
_GOT: Final = re.compile(r"^\s*got: (?P<got>.*)$")
_SERIES: Final = re.compile(r"(?P<labels>\{.*?\}) (?P<value>[-+0-9.eEINanf]+)(?:, |$)")
_LABEL: Final = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


class Fired(NamedTuple):
    """An alert that would have fired: from when until when (epoch ms), on which segment, on which figures."""

    alert: str
    segment: str
    start: int
    #: None if it still fired at the end.
    end: int | None
    first: float | None
    lowest: float | None
    highest: float | None


async def replay(
    settings: Settings, plan: Plan, start: int, end: int, progress: Callable[[int, int], None] | None = None
) -> list[Fired]:
    """What would have fired from `start` to `end` (epoch ms, whole minutes), in order of time.

    `progress` is called with the ms that are counted, and how many there are. Raises what the ClickHouse client raises,
    and DependencyError if promtool fails.
    """
    begin = start - look_back(plan)
    connection = Connection(settings)
    try:
        await require_product(connection, settings, plan)
        begin = max(begin, await _first_event(connection, settings) // STEP * STEP)
        series = Series()
        state = PartitionState(plan, Validator(plan), 0, 1)
        minutes = Minutes(plan)
        async for now in _counted(connection, settings, state, begin, end):
            samples = [(names.PARTITIONS, (), 1.0), (names.CURRENT, ("0",), 1.0)]
            samples += [*product_samples([state], plan, minutes, now), *funnel_buckets(plan, now)]
            series.add((now - begin) // STEP, samples)
            if progress is not None:
                progress(now - begin, end - begin)
    finally:
        await connection.close()
    return evaluated(plan, series, begin, start, end)


def look_back(plan: Plan) -> int:
    """How much history the plan's alerts look at, ms."""
    spans = [0]
    for alert in plan.alerting.alerts.values():
        back = alert.days * DAY if alert.condition == "unusual" else 0
        back = back_of(alert) if alert.condition in ("drop", "rise", "absent") else back
        spans.append(back + alert.span_ms + alert.hold_for + alert.keep)
    return (max(spans) // STEP + 1) * STEP


def without_history(plan: Plan) -> list[str]:
    """The alerts that can't be replayed."""
    return [name for name, alert in plan.alerting.alerts.items() if alert.metric in PIPELINE]


class Series:
    """Samples at equal steps, in promtool's notation."""

    def __init__(self) -> None:
        self._values: dict[str, list[str]] = {}
        #: A series comes at every step: writing its name anew took two thirds of the time.
        self._names: dict[tuple[str, tuple[str, ...]], str] = {}
        self.steps = 0

    def add(self, step: int, samples: Sequence[Sample]) -> None:
        """The samples of a step."""
        self.steps = step + 1
        for metric, labels, value in samples:
            key = self._names.get((metric.name, labels))
            if key is None:
                pairs = ",".join(
                    f"{name}={json.dumps(text, ensure_ascii=False)}"
                    for name, text in zip(metric.labels, labels, strict=True)
                )
                key = f"{metric.name}{'_total' if metric.kind == 'counter' else ''}{{{pairs}}}"
                self._names[metric.name, labels] = key
            values = self._values.setdefault(key, [])
            if len(values) < step:
                # It vanished for a while: a scrape without it marks it so.
                values += ["stale" if values else "_"] + ["_"] * (step - len(values) - 1)
            values.append(f"{value:.10g}")

    def notation(self) -> list[dict[str, str]]:
        """For `input_series`."""
        return [
            {"series": key, "values": " ".join(values if len(values) == self.steps else [*values, "stale"])}
            for key, values in self._values.items()
        ]


def evaluated(plan: Plan, series: Series, begin: int, start: int, end: int) -> list[Fired]:
    """Let promtool evaluate the rules; what it says fires between `start` and `end`."""
    steps = range((start - begin) // STEP if start > begin else 0, series.steps)
    values = f"last_over_time({VALUE}[5m]) and on(rule, segment) {FIRING}"
    # promtool tells what it finds where that is not what was expected: so nothing is expected.
    tests = [{"expr": expr, "eval_time": f"{step}m", "exp_samples": []} for step in steps for expr in (FIRING, values)]
    test = {
        "rule_files": ["rules.yml"],
        "evaluation_interval": "1m",
        "tests": [{"interval": "1m", "input_series": series.notation(), "promql_expr_test": tests}],
    }
    with tempfile.TemporaryDirectory(prefix="streamgauge-alerts-") as folder:
        (Path(folder) / "rules.yml").write_text(rules.text(plan, STEP), "utf-8")
        (Path(folder) / "test.yml").write_text(json.dumps(test), "utf-8")
        done = subprocess.run(
            ["promtool", "test", "rules", "test.yml"], cwd=folder, capture_output=True, text=True, check=False
        )
    said = done.stdout + done.stderr
    if done.returncode != 0 and "got:" not in said:
        raise DependencyError("promtool could not evaluate the rules: {why}", why=said.strip()[:500])
    return spells(said, begin, end)


def spells(said: str, begin: int, end: int) -> list[Fired]:
    """What promtool said, as spans of time."""
    firing: dict[tuple[str, str], dict[int, float | None]] = {}
    expr, at = "", 0
    for line in said.splitlines():
        if found := _FAILED.match(line):
            expr, at = found["expr"].replace('\\"', '"'), begin + _milliseconds(found["time"])
        elif got := _GOT.match(line):
            for one in _SERIES.finditer(got["got"]):
                labels = {name: json.loads(f'"{text}"') for name, text in _LABEL.findall(one["labels"])}
                if expr == FIRING:
                    key = labels["alertname"], labels.get("segment", "")
                    firing.setdefault(key, {}).setdefault(at, None)
                else:
                    firing.setdefault((labels["rule"], labels.get("segment", "")), {})[at] = float(one["value"])
    fired = []
    for (alert, segment), times in firing.items():
        spell: list[int] = []
        for at in [*sorted(times), end + 2 * STEP]:
            if spell and at > spell[-1] + STEP:
                found_values = [v for t in spell if (v := times[t]) is not None]
                last = spell[-1] + STEP
                fired.append(
                    Fired(alert, segment, spell[0], last if last <= end else None, times[spell[0]],
                          min(found_values, default=None), max(found_values, default=None))
                )  # fmt: skip
                spell = []
            spell.append(at)
    return sorted(fired, key=lambda f: (f.start, f.alert, f.segment))


def _milliseconds(text: str) -> int:
    units = {"w": 7 * DAY, "d": DAY, "h": HOUR, "m": MINUTE, "s": 1000, "ms": 1}
    return sum(int(number) * units[unit] for number, unit in re.findall(r"(\d+)(ms|[wdhms])", text))


async def _first_event(connection: Connection, settings: Settings) -> int:
    await require_stream(connection, settings, "events_raw")
    sql = f"SELECT count(), toUnixTimestamp64Milli(min(ts)) FROM events WHERE stream = {quoted(settings.stream)}"
    count, first = (await connection.query(sql))[0]
    if not count:
        raise UserError("ClickHouse holds no events: is PIPELINE_CLICKHOUSE_URL the right one?")
    return int(first)


async def _counted(
    connection: Connection, settings: Settings, state: PartitionState, begin: int, end: int
) -> AsyncIterator[int]:
    """Fold the events from `begin` on; yields each step's time when everything before it is in."""
    rejected: dict[int, list[tuple[str, int]]] = {}
    for hour in range(begin, end + 1, HOUR):
        until = min(hour + HOUR, end + STEP)
        by_step: dict[int, list[Event]] = {}
        for event in await _events(connection, settings, hour, until):
            by_step.setdefault(event.ts // STEP, []).append(event)
        if (hour - begin) % DAY == 0:  # few rows, whose question costs as much as that for an hour of events
            rejected = await _rejected(connection, settings, hour, min(hour + DAY, end + STEP))
        for now in range(hour, until, STEP):
            yield now
            events = by_step.get(now // STEP, [])
            if events:
                state.fold_accepted(events, state.position + len(events))
                state.expire()
            for reason, count in rejected.get(now // STEP, []):
                state.totals[Outcome.REJECTED] += count
                state.reasons[reason] = state.reasons.get(reason, 0) + count


async def _events(connection: Connection, settings: Settings, start: int, end: int) -> list[Event]:
    columns = ", ".join(f"toString({field})" for field in CONTEXT_FIELDS)
    rows = await connection.query(
        f"SELECT event, event_id, person, session_id, toUnixTimestamp64Milli(ts) AS at, value, properties, {columns} "
        f"FROM events WHERE stream = {quoted(settings.stream)} AND NOT late AND {moments_sql(str(start), str(end))} "
        f"ORDER BY at, partition, offset",
    )
    events = []
    for name, event_id, person, session, ts, value, properties, *context in rows:
        fields: dict[str, Any] = {"event_id": event_id, "event": name, "ts": int(ts)}
        fields |= zip(CONTEXT_FIELDS, context, strict=True)
        fields["session_id"] = session
        fields["properties"] = json.loads(properties) if properties != "{}" else {}
        events.append(Event.of(fields, person, int(value.scaleb(6))))
    return events


async def _rejected(
    connection: Connection, settings: Settings, start: int, end: int
) -> dict[int, list[tuple[str, int]]]:
    rows = await connection.query(
        f"SELECT intDiv(toUnixTimestamp64Milli(at), {STEP}) AS step, reason, count() FROM rejected_raw FINAL "
        f"WHERE stream = {quoted(settings.stream)} AND {_within('at', start, end)} GROUP BY step, reason",
    )
    found: dict[int, list[tuple[str, int]]] = {}
    for step, reason, count in rows:
        found.setdefault(int(step), []).append((reason, int(count)))
    return found


def _within(column: str, start: int, end: int) -> str:
    bounds = [f"fromUnixTimestamp64Milli(toInt64({moment}), 'UTC')" for moment in (start, end)]
    return f"{column} >= {bounds[0]} AND {column} < {bounds[1]}"


def moment(ms: int) -> str:
    """A time as people read it."""
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d %H:%M} UTC"
