"""What a replay found, for a person."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import groupby
from zoneinfo import ZoneInfo

from rich.table import Table
from rich.text import Text

from pipeline.measure.funnel_counts import FunnelCell
from pipeline.replay.measures import Cohort, Counts, Measures, Window, decimal_text, moment_text
from pipeline.terminal import cell as text_cell
from pipeline.terminal import console
from schemas.duration import format_duration

#: Rows of one table; more of them are for `--json`.
MAX_ROWS = 20
_BAR = 30
_NAMES = {"day": "days", "day_utc": "days", "hour": "hours", "minute": "minutes"}


def show(measures: Measures, grains: Sequence[str], *, exact: bool) -> None:
    """Print totals, activity windows and funnels."""
    out = console()
    totals = measures.totals.document()
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in totals["reasons"].items())
    out.print(
        f"{totals['lines']:,} lines: {totals['accepted']:,} counted, {totals['late']:,} late, "
        f"{totals['duplicate']:,} duplicate, {totals['rejected']:,} rejected" + (f" ({reasons})" if reasons else "")
    )
    out.print("measured by ClickHouse, users exact" if exact else "measured by the live fold, users by HyperLogLog")
    windows = measures.windows()
    for grain in grains:
        mine = [item for item in windows if item[0].grain == grain]
        zone = measures.plan.timezone if grain == "day" else "UTC"
        for dimension, found in _by_dimension(mine):
            by = f"by {dimension}" if dimension else "in total"
            out.print(_activity(f"Activity {by}, {_NAMES[grain]} ({zone})", found, measures))
    overall = measures.overall()
    for name in measures.plan.funnels:
        for cohort, cell in overall:
            if cohort.funnel == name and not cohort.breakdown:
                out.print(_bars(measures, cohort, cell))
        lines = [item for item in overall if item[0].funnel == name and item[0].breakdown]
        if lines:
            out.print(_cohorts("by value, all buckets", lines, measures, with_start=False))
        buckets = [item for item in measures.cohorts() if item[0].funnel == name and not item[0].breakdown]
        if len(buckets) > 1:
            out.print(_cohorts(f"by {measures.plan.funnels[name].bucket}", buckets, measures, with_start=True))


def _by_dimension(items: list[tuple[Window, Counts]]) -> Iterator[tuple[str, list[tuple[Window, Counts]]]]:
    order = list(dict.fromkeys(window.dimension for window, _ in items))
    items = sorted(items, key=lambda item: order.index(item[0].dimension))  # stable: by start within
    for dimension, group in groupby(items, key=lambda item: item[0].dimension):
        yield dimension, list(group)


def _table(title: str, columns: Sequence[str], left: int) -> Table:
    table = Table(title=text_cell(title, "italic"), title_justify="left")
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number < left else "right", no_wrap=number == 0)
    return table


def _activity(title: str, items: list[tuple[Window, Counts]], measures: Measures) -> Table:
    columns = ["start", "value", "events", "users", "sessions", "registered", "amount"]
    table = _table(title, columns, 2)
    for window, counts in items[:MAX_ROWS]:
        figures = [counts.events, counts.users, counts.sessions, counts.registrations]
        value = text_cell(" / ".join(window.value) or ("" if not window.dimension else "(none)"))
        table.add_row(
            start_text(window.grain, window.start, measures.plan.zone), value,
            *[f"{round(n):,}" for n in figures], decimal_text(counts.amount),
        )  # fmt: skip
    if len(items) > MAX_ROWS:
        table.caption = f"and {len(items) - MAX_ROWS:,} rows more: --json has them all"
    return table


def _bars(measures: Measures, cohort: Cohort, cell: FunnelCell) -> Table:
    funnel = measures.plan.funnels[cohort.funnel]
    modes = f", {' '.join(funnel.modes)}" if funnel.modes else ""
    title = f"Funnel {cohort.funnel}: within {format_duration(funnel.window)}, per {funnel.per}{modes}"
    table = _table(title, ["step", "users", "", "of first", "of previous", "median time"], 1)
    users = cell.users
    for k, step in enumerate(funnel.steps):
        width = round(_BAR * users[k] / users[0]) if users[0] else 0
        median = cell.times[k - 1].median if k else None
        table.add_row(
            text_cell(step.title),
            f"{users[k]:,}",
            Text("█" * width, style="cyan") + Text("·" * (_BAR - width), style="dim"),
            _share(users[k], users[0]),
            _share(users[k], users[k - 1]) if k else "",
            "" if median is None else f"{median / 1000:,.1f} s",
        )
    return table


def _cohorts(title: str, items: list[tuple[Cohort, FunnelCell]], measures: Measures, *, with_start: bool) -> Table:
    steps = len(items[0][1].users)
    head = ["start"] if with_start else ["field", "value"]
    table = _table(title, [*head, *[f"step {k}" for k in range(1, steps + 1)], "conversion"], len(head))
    for cohort, cell in items[:MAX_ROWS]:
        place = [cohort.breakdown, cohort.value or "(none)"]
        if with_start:
            place = [start_text(measures.plan.funnels[cohort.funnel].bucket, cohort.start, measures.plan.zone)]
        users = cell.users
        table.add_row(*map(text_cell, place), *[f"{n:,}" for n in users], _share(users[-1], users[0]))
    if len(items) > MAX_ROWS:
        table.caption = f"and {len(items) - MAX_ROWS:,} rows more: --json has them all"
    return table


def start_text(grain: str, ms: int, zone: ZoneInfo) -> str:
    """The start of a window: a date of the plan's time zone for days, else the time in UTC."""
    if grain == "day":
        return f"{datetime.fromtimestamp(ms // 1000, zone):%Y-%m-%d}"
    return moment_text(ms)[:10] if grain == "day_utc" else moment_text(ms)[:16].replace("T", " ")


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "–"
