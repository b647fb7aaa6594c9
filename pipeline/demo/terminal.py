"""The live view in the terminal: who is active, where the funnel leaks, whether anything is wrong."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from pipeline.alerts.prometheus import ActiveAlert, PrometheusError
from pipeline.insight.steps import worst_step
from pipeline.serve.answers import LiveAnswer, LiveFunnel, Top
from pipeline.terminal import cell, plain

_BAR = 30


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}"


class Rates:
    """Events a second from two readings of a counter."""

    def __init__(self) -> None:
        self._last: tuple[float, int] | None = None
        self.value: float | None = None

    def update(self, count: int, now: float | None = None) -> float | None:
        """Take a reading; the rate since the one before, smoothed."""
        now = time.monotonic() if now is None else now
        if self._last is not None and now > self._last[0]:
            rate = max(0, count - self._last[1]) / (now - self._last[0])
            self.value = rate if self.value is None else 0.6 * self.value + 0.4 * rate
        self._last = (now, count)
        return self.value


def funnel_panel(name: str, funnel: LiveFunnel) -> Panel:
    """One funnel as bars: users at each step, share of the first and of the step before, and where most are lost."""
    table = Table.grid(padding=(0, 1))
    users = funnel["users"]
    first = users[0] if users else 0
    worst = worst_step(users)
    for k, (title, count) in enumerate(zip(funnel["steps"], users, strict=True)):
        width = round(_BAR * count / first) if first else 0
        share = f"{100 * count / first:5.1f} %" if first else "    –"
        before = users[k - 1] if k else 0
        step = f"{100 * count / before:5.1f} % of the step before" if before else ""
        bar = Text("█" * width, style="cyan") + Text("·" * (_BAR - width), style="dim")
        leak = Text("← most are lost here", style="yellow") if k == worst else Text("")
        table.add_row(cell(title), Text(_number(count), justify="right"), bar, share, Text(step, style="dim"), leak)
    when = "today" if funnel["bucket"] == "day" else "this hour"
    return Panel(table, title=cell(f"Funnel: {name} ({when})"), title_align="left")


def alerts_panel(alerts: Sequence[ActiveAlert]) -> Panel:
    """The alerts that fire, and those that will if it goes on."""
    table = Table.grid(padding=(0, 1))
    styles = {"critical": "bold red", "warning": "yellow"}
    for alert in alerts:
        style = styles.get(alert.severity, "") if alert.firing else "dim"
        table.add_row(cell(alert.state, style), cell(alert.title, style), cell(alert.summary))
    return Panel(table, title="Alerts", title_align="left")


def view(
    live: LiveAnswer | None,
    archiver: dict[str, Any] | None,
    rate: float | None,
    notes: list[str],
    footer: str = "Ctrl-C ends it",
    *,
    alerts: Sequence[ActiveAlert] | PrometheusError,
    away: Sequence[str] = (),
) -> RenderableType:
    """The whole screen from the worker's `/live`, the archiver's `/health` and the alerts of Prometheus."""
    if live is None:
        said = [f"{part} is away: it is being started again" for part in away] or ["The worker is starting …"]
        return Panel(Text("\n".join(map(plain, said))), title="Streamgauge")
    totals = live["totals"]
    head = Table.grid(padding=(0, 3))
    lag, freshness = live["lag"], live["freshness_ms"]
    head.add_row(
        _cell("events/s", _number(rate)),
        _cell("accepted", _number(totals.get("accepted", 0))),
        _cell("rejected", _number(totals.get("rejected", 0)), "red" if totals.get("rejected") else ""),
        _cell("duplicate", _number(totals.get("duplicate", 0))),
        _cell("late", _number(totals.get("late", 0))),
        _cell("lag", f"{_number(lag)} records"),
        _cell("freshness", "–" if freshness is None else f"{freshness / 1000:.1f} s"),
    )
    active, today = live["active"], live["today"]
    people = Table.grid(padding=(0, 3))
    people.add_row(
        _cell("active now", _number(active["now"]), "bold green"),
        _cell("last 5 minutes", _number(active["last_5m"]), "bold green"),
        _cell("today", _number(today["users"]), "bold green"),
        _cell("sessions today", _number(today["sessions"])),
        _cell("new today", _number(today["registrations"])),
        _cell("revenue today", f"{today['value_micro'] / 1e6:,.2f}"),
    )
    # First what a small screen must show: it is cut at its bottom.
    parts: list[RenderableType] = [cell(note, "dim") for note in notes[:1]]
    parts += [Panel(Group(people, Text(""), head), title=cell(f"Streamgauge: {live['product']}"), title_align="left")]
    problems = [f"{part} is away: it is being started again" for part in away]
    problems += [live["publish_error"]] if live["publish_error"] else []
    if isinstance(alerts, PrometheusError):
        problems.append(f"{alerts}: whether an alert fires is not known")
        alerts = []
    if alerts:
        parts.append(alerts_panel(alerts))
    if archiver is not None:
        problems += [f"{name}: {text}" for name, text in archiver.get("problems", {}).items()]
    if problems:
        parts += [cell(f"! {problem}", "yellow") for problem in problems]
    elif not any(alert.firing for alert in alerts) and lag is not None and freshness is not None:
        parts.append(
            Text(f"All is well: {freshness / 1000:.0f} seconds behind, {lag:,} records waiting.", style="green")
        )
    parts += [funnel_panel(name, funnel) for name, funnel in live["funnels"].items()]
    tops = Table.grid(padding=(0, 4))
    tops.add_row(*[_top(name, values) for name, values in live["top"].items()])
    parts.append(Panel(tops, title="Last 5 minutes", title_align="left"))
    parts += [cell(note, "dim") for note in notes[1:]]
    parts.append(Text(footer, style="dim"))
    return Group(*parts)


def _cell(label: str, value: str, style: str = "bold") -> Text:
    return Text.assemble((f"{label}\n", "dim"), (value, style or "bold"))


def _top(name: str, values: dict[str, Top]) -> Table:
    table = Table(title=cell(name, "italic"), title_justify="left", box=None, show_header=False, padding=(0, 1))
    for value, numbers in list(values.items())[:6]:
        table.add_row(cell(value[:20]), Text(_number(numbers["events"]), justify="right"))
    return table
