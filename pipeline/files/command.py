"""The commands `streamgauge send` and `streamgauge check`."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, fields
from datetime import UTC, datetime

from pipeline.files.check import Check, Summary
from pipeline.files.mapping import parse_mapping
from pipeline.files.reader import BadLineError, Reading, read_events, read_lines, zone_of
from pipeline.ingest.sent import Sent
from pipeline.progress import progress_bar
from pipeline.settings import Settings, plan_of
from schemas.plan import Plan

#: Problems that are printed; all are counted.
_MAX_SHOWN = 100


async def send_file(
    settings: Settings,
    file: str,
    mapping: str | None,
    tz: str,
    rate: float | None,
    as_json: bool,
    *,
    drop: bool = False,
    skip_bad: bool = False,
) -> int:
    """Send the events of a file; 1 if the broker refused some of them or lines were left out, else 0.

    A line that is no event ends it, with what came before sent, unless `skip_bad`. Raises UserError and
    DependencyError.
    """
    from pipeline.files.sender import in_thread, send  # a client of Kafka, which `check` does without

    columns = parse_mapping(mapping, drop=drop) if mapping or drop else None
    reading = Reading(columns, zone_of(tz), plan=plan_of(settings))
    bad: list[BadLineError] = []

    def skip(problem: BadLineError) -> None:
        bad.append(problem)
        if len(bad) <= _MAX_SHOWN:
            print(problem, file=sys.stderr)

    lines = read_events(file, reading, on_bad=skip if skip_bad else None)
    records = (Sent(0, line.key, line.value) for line in lines)
    total = None if file == "-" or not sys.stderr.isatty() else sum(1 for _ in read_lines(file))
    with progress_bar(f"sending {file}", total) as show:
        result = await send(
            in_thread(records) if file == "-" else records,
            kafka=settings.kafka_kwargs(),
            topic=settings.events_topic,
            rate=rate,
            progress=None if show is None else lambda state: show(state.sent),
        )
    if as_json:
        print(json.dumps({**asdict(result), "bad_lines": len(bad), "topic": settings.events_topic}))
    else:
        speed = result.sent / max(result.seconds, 1e-3)
        print(f"{result.sent:,} events sent to {settings.events_topic} in {result.seconds:.1f} s ({speed:,.0f}/s)")
        if bad:
            print(f"{len(bad):,} lines were left out: they are no events")
        if result.failed:
            print(f"{result.failed:,} were refused by the broker, the first because: {result.first_error}")
    return 1 if result.failed or bad else 0


def check_file(plan: Plan, file: str, as_json: bool) -> int:
    """Print what is wrong in which line of a file of JSON lines; 0 if nothing is."""
    check = Check(plan, now_ms=int(time.time() * 1000))
    for shown, problem in enumerate(check.problems(read_lines(file)), 1):
        if as_json:
            print(json.dumps(problem._asdict()))
        elif shown <= _MAX_SHOWN:
            print(f"line {problem.line}: {problem.reason}: {problem.detail}")
        elif shown == _MAX_SHOWN + 1:
            print(f"... more than {_MAX_SHOWN} problems: only counted from here on")
    summary = check.summary
    if as_json:
        print(json.dumps({"summary": {f.name: getattr(summary, f.name) for f in fields(summary)}}))
    else:
        print("\n".join(_summary_lines(summary)))
    return 0 if summary.valid == summary.lines else 1


def _summary_lines(summary: Summary) -> Iterator[str]:
    yield f"{summary.lines:,} lines: {summary.valid:,} valid, {summary.lines - summary.valid:,} not"
    if summary.reasons:
        yield "  rejected: " + ", ".join(f"{count:,} {reason}" for reason, count in summary.reasons.most_common())
    if summary.events:
        yield "  events: " + ", ".join(f"{count:,} {name}" for name, count in summary.events.most_common())
        first, last = (datetime.fromtimestamp(t / 1000, UTC) for t in (summary.first_ts, summary.last_ts))
        yield f"  from {first:%Y-%m-%d %H:%M:%S} to {last:%Y-%m-%d %H:%M:%S} UTC"
