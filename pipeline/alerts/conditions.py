"""When an alert's figure is a reason to tell somebody: what it is compared with, and how. In PromQL."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pipeline.alerts.figures import Figure
from pipeline.alerts.promql import number, replacement, select
from schemas.alerts import PER_MINUTE, Alert
from schemas.duration import DAY, MINUTE
from schemas.plan import Plan

VALUE: Final = "streamgauge:alert_value"
REFERENCE: Final = "streamgauge:alert_reference"
HISTORY: Final = "streamgauge:alert_history"
SCALE: Final = "streamgauge:alert_scale"
SEGMENT: Final = "streamgauge:alert_segment"
#: A figure is held for so long when it is missing: a restart of the worker neither ends an alert nor begins one.
HOLD: Final = 5 * MINUTE
#: What a segment is compared with where the alert's condition names no other time, if there is history.
BEFORE: Final = 60 * MINUTE
#: The standard deviation of a normal distribution is so many of its median absolute deviations.
_SIGMA: Final = 1.4826
_BACK: Final = {"yesterday": DAY, "last_week": 7 * DAY}


def back_of(alert: Alert) -> int:
    """How long ago (ms) the time is that a drop or rise is measured against."""
    return _BACK[alert.against]


def needing_history(plan: Plan) -> list[str]:
    """Alerts that say nothing before Prometheus has some days of history."""
    alerts = plan.alerting.alerts.items()
    return [name for name, alert in alerts if alert.condition in ("drop", "rise", "unusual")]


def times_before(alert: Alert) -> tuple[int, ...]:
    """How long ago (ms) the times are that an alert's segments are compared with; the first with history counts.

    The last is just before whatever happened: the alert's own time and its patience, twice the first to be safe.
    """
    if alert.condition in ("drop", "rise"):
        return (back_of(alert),)
    return (BEFORE, 2 * alert.span_ms + alert.hold_for)


def held(record: str, name: str) -> str:
    """A recorded figure of an alert, the last one of the last minutes."""
    return f"last_over_time({select(record, {'rule': name}, span=HOLD)})"


def expression(name: str, alert: Alert) -> str:
    """What must hold for as long as the alert says; its value is the figure."""
    value, reference = held(VALUE, name), held(REFERENCE, name)
    match alert.condition:
        case "above":
            return f"{value} > {number(alert.above or 0)}"
        case "below":
            return f"{value} < {number(alert.below or 0)}"
        case "drop":
            return f"{value} < {number(1 - (alert.drop or 0))} * {reference}"
        case "rise":
            return f"{value} > {number(1 + (alert.rise or 0))} * {reference}"
        case "absent":
            # At night there may be none: that is told only where there used to be some, or nobody knows.
            return f"{value} == 0 unless {reference} < {number(alert.enough * MINUTE / alert.span_ms)}"
    far = {
        "both": f"abs({value} - {reference})",
        "down": f"({reference} - {value})",
        "up": f"({value} - {reference})",
    }[alert.direction]
    return f"{value} and {far} > {number(alert.unusual or 0)} * {held(SCALE, name)}"


def recordings(plan: Plan, name: str, alert: Alert, interval: int) -> Iterator[tuple[str, str]]:
    """What an alert records besides: record and expression, in order."""
    figure = Figure(plan, alert, interval)
    yield VALUE, figure.value()
    if alert.condition in ("drop", "rise"):
        yield REFERENCE, _enough(alert, figure.value(back_of(alert)))
    elif alert.condition == "absent":
        yield REFERENCE, figure.value(back_of(alert))
    elif alert.condition == "unusual":
        yield (
            HISTORY,
            " or ".join(
                f'label_replace({figure.value(day * DAY)}, "day", "{day}", "", "")' for day in range(1, alert.days + 1)
            ),
        )
        history, reference = select(HISTORY, {"rule": name}), select(REFERENCE, {"rule": name})
        enough = f"count by (segment) ({history}) >= {max(3, (alert.days + 1) // 2)}"
        yield REFERENCE, _enough(alert, f"quantile by (segment) (0.5, {history}) and ({enough})")
        spread = f"abs({history} - on(segment) group_left() {reference})"
        found = f"{_SIGMA} * quantile by (segment) (0.5, {spread})"
        floor = _noise(alert, f"max by (segment) ({reference})")
        yield SCALE, f"({found} > {floor}) or {floor}"
    text = segments(plan, alert, interval)
    if text:
        yield SEGMENT, text


def _enough(alert: Alert, reference: str) -> str:
    """The reference where it rests on enough. Shares have looked at that themselves."""
    if alert.metric in PER_MINUTE:
        # The figure is of one minute, what it rests on is of all its minutes.
        return f"({reference}) >= {number(alert.enough * MINUTE / alert.span_ms)}"
    if alert.metric == "active_users":
        return f"({reference}) >= {number(alert.enough)}"
    return reference


def _noise(alert: Alert, reference: str) -> str:
    """How much a figure varies by chance alone: the days before may by luck have been alike.

    Counts as a Poisson process, shares as a binomial one; else a twentieth.
    """
    if alert.metric in ("events", "users", "sessions", "registrations"):
        return f"sqrt({reference} / {number(alert.span_ms / MINUTE)})"
    if alert.metric == "conversion":
        return f"sqrt({reference} * (1 - {reference}) / {number(max(1.0, alert.enough))})"
    return f"0.05 * {reference}"


def segments(plan: Plan, alert: Alert, interval: int) -> str | None:
    """By value of every field that is a label: how much of what is missing (or too much) it explains.

    Of a count: then minus now. Of a conversion: users that would have come to the step at the rate of then, minus
    those who did. None where no label tells more.
    """
    if alert.by or alert.metric not in (*PER_MINUTE, "conversion"):
        return None
    found = []
    for field in fields_to_look_at(plan, alert):
        figure = Figure(plan, alert, interval, field)
        if alert.metric == "conversion":
            text = _missing_users(alert, figure, Figure(plan, alert, interval))
        else:
            then = "(" + " or ".join(figure.value(back) for back in times_before(alert)) + ")"
            up = alert.condition in ("rise", "above")
            text = f"{figure.value()} - {then}" if up else f"{then} - {figure.value()}"
        found.append(f'label_replace({text}, "field", {replacement(field)}, "", "")')
    return " or ".join(found) or None


def fields_to_look_at(plan: Plan, alert: Alert) -> list[str]:
    """The fields that may explain a change: those whose label is the alert's with one field more."""
    if alert.metric == "conversion":
        if alert.where or alert.funnel is None:
            return []
        breakdown = plan.funnels[alert.funnel].breakdown
        return [label[0] for label in plan.alerting.labels if len(label) == 1 and label[0] in breakdown]
    labels = [set(label) for label in plan.alerting.labels if label in plan.dimensions]
    own = set(alert.fields)
    return sorted({next(iter(label - own)) for label in labels if own < label and len(label - own) == 1})


def _missing_users(alert: Alert, figure: Figure, total: Figure) -> str:
    then = [f"{figure.reached(back)} / ({figure.entered(back)} > 0)" for back in times_before(alert)]
    entered = figure.entered()
    # Without any history: at the rate of all together.
    overall = f"0 * {entered} + scalar({total.reached()} / ({total.entered()} > 0))"
    return f"{entered} * ({' or '.join([*then, overall])}) - {figure.reached()}"
