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
from pipeline.render.language import Language
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


def funnel_panel(t: Language, name: str, funnel: LiveFunnel) -> Panel:
    """One funnel as bars: users at each step, share of the first and of the step before, and where most are lost."""
    table = Table.grid(padding=(0, 1))
    users = funnel["users"]
    first = users[0] if users else 0
    worst = worst_step(users)
    for k, (title, count) in enumerate(zip(funnel["steps"], users, strict=True)):
        width = round(_BAR * count / first) if first else 0
        share = f"{100 * count / first:5.1f} %" if first else "    –"
        before = users[k - 1] if k else 0
        step = t("{share} of the step before", share=f"{100 * count / before:5.1f} %") if before else ""
        bar = Text("█" * width, style="cyan") + Text("·" * (_BAR - width), style="dim")
        leak = Text(t("← most are lost here"), style="yellow") if k == worst else Text("")
        table.add_row(cell(title), Text(_number(count), justify="right"), bar, share, Text(step, style="dim"), leak)
    when = t("today") if funnel["bucket"] == "day" else t("this hour")
    return Panel(table, title=cell(t("Funnel: {name} ({when})", name=name, when=when)), title_align="left")


def alerts_panel(t: Language, alerts: Sequence[ActiveAlert]) -> Panel:
    """The alerts that fire, and those that will if it goes on."""
    table = Table.grid(padding=(0, 1))
    styles = {"critical": "bold red", "warning": "yellow"}
    for alert in alerts:
        style = styles.get(alert.severity, "") if alert.firing else "dim"
        state = t("firing") if alert.firing else t("pending")
        table.add_row(cell(state, style), cell(alert.title, style), cell(alert.summary))
    return Panel(table, title=t("Alerts"), title_align="left")


def view(
    t: Language,
    live: LiveAnswer | None,
    archiver: dict[str, Any] | None,
    rate: float | None,
    notes: list[str],
    *,
    alerts: Sequence[ActiveAlert] | PrometheusError,
    away: Sequence[str] = (),
) -> RenderableType:
    """The whole screen from the worker's `/live`, the archiver's `/health` and the alerts of Prometheus."""
    if live is None:
        said = _away(t, away) or [t("The worker is starting …")]
        return Panel(Text("\n".join(map(plain, said))), title="Streamgauge")
    totals = live["totals"]
    head = Table.grid(padding=(0, 3))
    lag, freshness = live["lag"], live["freshness_ms"]
    head.add_row(
        _cell(t("events/s"), _number(rate)),
        _cell(t("accepted"), _number(totals.get("accepted", 0))),
        _cell(t("rejected"), _number(totals.get("rejected", 0)), "red" if totals.get("rejected") else ""),
        _cell(t("duplicate"), _number(totals.get("duplicate", 0))),
        _cell(t("late"), _number(totals.get("late", 0))),
        _cell(t("lag"), t("{n} records", n=_number(lag))),
        _cell(t("freshness"), "–" if freshness is None else t("{n} s", n=f"{freshness / 1000:.1f}")),
    )
    active, today = live["active"], live["today"]
    people = Table.grid(padding=(0, 3))
    people.add_row(
        _cell(t("active now"), _number(active["now"]), "bold green"),
        _cell(t("last 5 minutes"), _number(active["last_5m"]), "bold green"),
        _cell(t("today"), _number(today["users"]), "bold green"),
        _cell(t("sessions today"), _number(today["sessions"])),
        _cell(t("new today"), _number(today["registrations"])),
        _cell(t("revenue today"), f"{today['value_micro'] / 1e6:,.2f}"),
    )
    # First what a small screen must show: it is cut at its bottom.
    parts: list[RenderableType] = [cell(note, "dim") for note in notes[:1]]
    parts += [Panel(Group(people, Text(""), head), title=cell(f"Streamgauge: {live['product']}"), title_align="left")]
    problems = _away(t, away)
    problems += [live["publish_error"]] if live["publish_error"] else []
    if isinstance(alerts, PrometheusError):
        problems.append(t("{why}: whether an alert fires is not known", why=alerts))
        alerts = []
    if alerts:
        parts.append(alerts_panel(t, alerts))
    if archiver is not None:
        problems += [f"{name}: {text}" for name, text in archiver.get("problems", {}).items()]
    if problems:
        parts += [cell(f"! {problem}", "yellow") for problem in problems]
    elif not any(alert.firing for alert in alerts) and lag is not None and freshness is not None:
        well = t(
            "All is well: {seconds} seconds behind, {lag} records waiting.",
            seconds=f"{freshness / 1000:.0f}",
            lag=f"{lag:,}",
        )
        parts.append(Text(well, style="green"))
    parts += [funnel_panel(t, name, funnel) for name, funnel in live["funnels"].items()]
    tops = Table.grid(padding=(0, 4))
    tops.add_row(*[_top(name, values) for name, values in live["top"].items()])
    parts.append(Panel(tops, title=t("Last 5 minutes"), title_align="left"))
    parts += [cell(note, "dim") for note in notes[1:]]
    parts.append(Text(t("Ctrl-C ends it"), style="dim"))
    return Group(*parts)


def _away(t: Language, away: Sequence[str]) -> list[str]:
    return [t("{part} is away: it is being started again", part=t.said(part)) for part in away]


def _cell(label: str, value: str, style: str = "bold") -> Text:
    return Text.assemble((f"{label}\n", "dim"), (value, style or "bold"))


def _top(name: str, values: dict[str, Top]) -> Table:
    table = Table(title=cell(name, "italic"), title_justify="left", box=None, show_header=False, padding=(0, 1))
    for value, numbers in list(values.items())[:6]:
        table.add_row(cell(value[:20]), Text(_number(numbers["events"]), justify="right"))
    return table
