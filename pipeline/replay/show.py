"""What a replay found, for a person."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
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
from schemas.translatable import Speech

#: Rows of one table; more of them are for `--json`.
MAX_ROWS = 20
_BAR = 30


def show(measures: Measures, grains: Sequence[str], t: Speech, *, exact: bool) -> None:
    """Print totals, activity windows and funnels."""
    out = console()
    totals = measures.totals.document()
    reasons = counted(totals["reasons"].items(), t)
    said = t(
        "{lines} lines: {counted} counted, {late} late, {duplicate} duplicate, {rejected} rejected{reasons}",
        lines=f"{totals['lines']:,}", counted=f"{totals['accepted']:,}", late=f"{totals['late']:,}",
        duplicate=f"{totals['duplicate']:,}", rejected=f"{totals['rejected']:,}",
        reasons=t(" ({counts})", counts=reasons) if reasons else "",
    )  # fmt: skip
    out.print(said)
    out.print(
        t("measured by ClickHouse, users exact") if exact else t("measured by the live fold, users by HyperLogLog")
    )
    windows = measures.windows()
    for grain in grains:
        mine = [item for item in windows if item[0].grain == grain]
        zone = measures.plan.timezone if grain == "day" else "UTC"
        for dimension, found in _by_dimension(mine):
            by = t("by {field}", field=dimension) if dimension else t("in total")
            title = t("Activity {by}, {windows} ({zone})", by=by, windows=_windows(grain, t), zone=zone)
            out.print(_activity(title, found, measures, t))
    overall = measures.overall()
    for name in measures.plan.funnels:
        for cohort, cell in overall:
            if cohort.funnel == name and not cohort.breakdown:
                out.print(_bars(measures, cohort, cell, t))
        lines = [item for item in overall if item[0].funnel == name and item[0].breakdown]
        if lines:
            out.print(_cohorts(t("by value, all buckets"), lines, measures, t, with_start=False))
        buckets = [item for item in measures.cohorts() if item[0].funnel == name and not item[0].breakdown]
        if len(buckets) > 1:
            title = t("by day") if measures.plan.funnels[name].bucket == "day" else t("by hour")
            out.print(_cohorts(title, buckets, measures, t, with_start=True))


def counted(counts: Iterable[tuple[str, int]], t: Speech) -> str:
    """How many of each, in one line."""
    return t(", ").join(t("{n} {name}", n=f"{count:,}", name=name) for name, count in counts)


def _windows(grain: str, t: Speech) -> str:
    """Windows of a grain, together."""
    if grain.startswith("day"):
        return t.of("windows", "days")
    return t.of("windows", "hours") if grain == "hour" else t.of("windows", "minutes")


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


def _activity(title: str, items: list[tuple[Window, Counts]], measures: Measures, t: Speech) -> Table:
    columns = [
        t.of("column", "start"), t.of("column", "value"), t.of("column", "events"), t.of("column", "users"),
        t.of("column", "sessions"), t.of("column", "registered"), t.of("column", "amount"),
    ]  # fmt: skip
    table = _table(title, columns, 2)
    for window, counts in items[:MAX_ROWS]:
        figures = [counts.events, counts.users, counts.sessions, counts.registrations]
        value = text_cell(" / ".join(window.value) or ("" if not window.dimension else t("(none)")))
        table.add_row(
            start_text(window.grain, window.start, measures.plan.zone), value,
            *[f"{round(n):,}" for n in figures], decimal_text(counts.amount),
        )  # fmt: skip
    if len(items) > MAX_ROWS:
        table.caption = t("and {n} rows more: --json has them all", n=f"{len(items) - MAX_ROWS:,}")
    return table


def _bars(measures: Measures, cohort: Cohort, cell: FunnelCell, t: Speech) -> Table:
    funnel = measures.plan.funnels[cohort.funnel]
    title = t(
        "Funnel {name}: within {within}, per {per}{modes}",
        name=cohort.funnel, within=format_duration(funnel.window), per=funnel.per,
        modes=t(", {modes}", modes=" ".join(funnel.modes)) if funnel.modes else "",
    )  # fmt: skip
    columns = [
        t.of("column", "step"), t.of("column", "users"), "", t("of first"), t("of previous"), t("median time")
    ]  # fmt: skip
    table = _table(title, columns, 1)
    users = cell.users
    for k, step in enumerate(funnel.steps):
        width = round(_BAR * users[k] / users[0]) if users[0] else 0
        median = cell.times[k - 1].median if k else None
        table.add_row(
            text_cell(step.title),
            f"{users[k]:,}",
            Text("█" * width, style="cyan") + Text("·" * (_BAR - width), style="dim"),
            _share(users[k], users[0], t),
            _share(users[k], users[k - 1], t) if k else "",
            "" if median is None else t("{n} s", n=f"{median / 1000:,.1f}"),
        )
    return table


def _cohorts(
    title: str, items: list[tuple[Cohort, FunnelCell]], measures: Measures, t: Speech, *, with_start: bool
) -> Table:
    steps = len(items[0][1].users)
    head = [t.of("column", "start")] if with_start else [t("field"), t.of("column", "value")]
    numbered = [t("step {k}", k=k) for k in range(1, steps + 1)]
    table = _table(title, [*head, *numbered, t.of("column", "conversion")], len(head))
    for cohort, cell in items[:MAX_ROWS]:
        place = [cohort.breakdown, cohort.value or t("(none)")]
        if with_start:
            place = [start_text(measures.plan.funnels[cohort.funnel].bucket, cohort.start, measures.plan.zone)]
        users = cell.users
        table.add_row(*map(text_cell, place), *[f"{n:,}" for n in users], _share(users[-1], users[0], t))
    if len(items) > MAX_ROWS:
        table.caption = t("and {n} rows more: --json has them all", n=f"{len(items) - MAX_ROWS:,}")
    return table


def start_text(grain: str, ms: int, zone: ZoneInfo) -> str:
    """The start of a window: a date of the plan's time zone for days, else the time in UTC."""
    if grain == "day":
        return f"{datetime.fromtimestamp(ms // 1000, zone):%Y-%m-%d}"
    return moment_text(ms)[:10] if grain == "day_utc" else moment_text(ms)[:16].replace("T", " ")


def _share(part: int, whole: int, t: Speech) -> str:
    return t("{number} %", number=f"{100 * part / whole:.1f}") if whole else "–"
