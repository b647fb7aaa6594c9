"""The `alerting` part of a tracking plan: which alerts there are, in the words of the product, and whom to tell.

`pipeline.alerts` makes Prometheus rules and an Alertmanager configuration of it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Container, Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, field_validator, model_validator

from schemas.duration import HOUR, MINUTE, Duration, format_duration, parse_duration
from schemas.funnel import Funnel
from schemas.receivers import AlertName, Receiver
from schemas.translatable import TranslatableValueError
from schemas.where import Scalar, StrictModel, scalar_text

__all__ = ["Alert", "AlertName", "Alerting", "Receiver", "check_alerting"]

#: A minute's figures are kept for the lateness: a shorter one than this could forget them before they are read.
MIN_LATENESS = 2 * MINUTE


def _share(value: Any) -> Any:
    """`30%` is 0.3; a number stays what it is."""
    if isinstance(value, str) and (found := re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*%\s*", value)):
        return float(found[1]) / 100
    return value


def _seconds(value: Any) -> Any:
    """A duration as seconds, a share as a number, a number as it is: what a figure is compared with."""
    value = _share(value)
    if isinstance(value, str) and re.fullmatch(r"(\d+(ms|[smhdw]))+", value):
        return parse_duration(value) / 1000
    return value


Share = Annotated[float, BeforeValidator(_share), Field(gt=0, allow_inf_nan=False)]
Level = Annotated[float, BeforeValidator(_seconds), Field(allow_inf_nan=False)]


def _listed(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


def _dimension(value: Any) -> Any:
    return tuple(value) if isinstance(value, list | tuple) else (value,)


Names = Annotated[tuple[str, ...], BeforeValidator(_listed)]
Metric = Literal[
    "events", "users", "sessions", "registrations", "revenue", "active_users",
    "conversion", "rejected_share", "lag", "freshness",
]  # fmt: skip
#: Figures of complete minutes.
PER_MINUTE = ("events", "users", "sessions", "registrations", "revenue")
#: What only tells of the pipeline, not of the product.
PIPELINE = ("lag", "freshness")
#: A small sample says nothing: figures that rest on fewer than this don't count, unless the alert says otherwise.
AT_LEAST = 100.0
#: Where so many of an event are usual, none at all is no chance: e^-10.
AT_LEAST_USUAL = 10.0


class Alert(StrictModel):
    """One alert: a metric, a condition, for how long, how severe, whom to tell, what to do."""

    model_config = ConfigDict(populate_by_name=True)

    title: str = ""
    description: str = ""
    metric: Metric
    event: str | None = None
    where: dict[str, Scalar] = Field(default_factory=dict)
    by: Names = ()
    funnel: str | None = None
    step: str | None = None
    span: Literal["5m", "30m"] = "5m"

    above: Level | None = None
    below: Level | None = None
    drop: Share | None = None
    rise: Share | None = None
    against: Literal["yesterday", "last_week"] = "last_week"
    absent: Literal[True] | None = None
    unusual: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    direction: Literal["both", "down", "up"] = "both"
    days: int = Field(default=7, ge=3, le=28)

    at_least: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    over: Duration | None = None
    hold_for: Duration = Field(default=2 * MINUTE, alias="for")
    keep: Duration = 5 * MINUTE
    severity: Literal["info", "warning", "critical"] = "warning"
    tell: Names = ()
    todo: str = ""
    under: Names = ()

    @field_validator("where", mode="before")
    @classmethod
    def _nothing_is_none(cls, value: Any) -> Any:
        return {} if value is None else value

    @model_validator(mode="after")
    def _one_condition(self) -> Alert:
        given = [n for n in ("above", "below", "drop", "rise", "absent", "unusual") if getattr(self, n) is not None]
        if len(given) != 1:
            said = " and ".join(given) or "none"
            raise TranslatableValueError(
                "an alert has one condition (above, below, drop, rise, absent or unusual), not {given}", given=said
            )
        kind = given[0]
        if kind in ("drop", "rise", "absent", "unusual") and self.metric in (*PIPELINE, "rejected_share"):
            raise TranslatableValueError("{kind} is not for {metric}: use above", kind=kind, metric=self.metric)
        if kind == "absent" and self.metric != "events":
            raise TranslatableValueError("absent is for events, not for {metric}", metric=self.metric)
        if self.drop is not None and self.drop >= 1:
            raise TranslatableValueError("drop: at most 99%: for nothing at all use absent: true")
        if self.metric in ("conversion", "rejected_share") and (self.above or self.below or 0) >= 1:
            raise TranslatableValueError("{metric} is a share: write it like 40%", metric=self.metric)
        if self.metric != "revenue":  # refunds can make that negative; everything else is a count, a share or a time
            if self.below is not None and self.below <= 0:
                if self.metric == "events":
                    raise TranslatableValueError("events is never below 0: for none at all use absent: true")
                raise TranslatableValueError("{metric} is never below 0", metric=self.metric)
            if self.above is not None and self.above < 0:
                raise TranslatableValueError(
                    "{metric} is always above {above}: it is never negative",
                    metric=self.metric,
                    above=f"{self.above:g}",
                )
        if self.against != "last_week" and kind not in ("drop", "rise", "absent"):
            raise TranslatableValueError("against goes with drop, rise or absent")
        return self

    @model_validator(mode="after")
    def _fields_fit_metric(self) -> Alert:
        if (self.metric == "conversion") != (self.funnel is not None and self.step is not None):
            raise TranslatableValueError("funnel and step go with the metric conversion, which needs both")
        if self.event is not None and self.metric not in PER_MINUTE:
            raise TranslatableValueError("event is not for {metric}", metric=self.metric)
        if (self.where or self.by) and self.metric not in (*PER_MINUTE, "conversion"):
            raise TranslatableValueError("where and by are not for {metric}", metric=self.metric)
        if len(self.by) > 1:
            raise TranslatableValueError("by: one field: each of its values is watched by itself")
        if set(self.by) & {*self.where, *(("event",) if self.event else ())}:
            raise TranslatableValueError("by: {field} is set already", field=self.by[0])
        if self.over is not None and self.over < (MINUTE if self.metric in PER_MINUTE else 1000):
            raise TranslatableValueError("over: at least 1m, the time that a figure is of")
        return self

    @property
    def condition(self) -> str:
        """Which of the conditions it has."""
        for name in ("above", "below", "drop", "rise", "unusual"):
            if getattr(self, name) is not None:
                return name
        return "absent"

    @property
    def enough(self) -> float:
        """What the figure must rest on: `at_least`, or what is usual."""
        if self.at_least is not None:
            return self.at_least
        return AT_LEAST_USUAL if self.absent else AT_LEAST

    @property
    def span_ms(self) -> int:
        """How long a time the figure is taken over, ms."""
        if self.over is not None:
            return self.over
        return 10 * MINUTE if self.metric in ("conversion", "rejected_share") else 5 * MINUTE

    @property
    def values(self) -> dict[str, str]:
        """What the fields of `where` must be, as the values of dimensions."""
        return {field: scalar_text(value) for field, value in self.where.items()}

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields whose values the figure is of: `event`, those of `where`, that of `by`."""
        return (*(("event",) if self.event else ()), *self.where, *self.by)


class Alerting(StrictModel):
    """Alerts, who is told of them, and what `/metrics` shows for them."""

    #: One that there is a table of words of (`pipeline/render/languages`): whoever writes the messages knows which.
    language: str = Field(default="en", pattern=r"^[a-z]{2,3}$")
    #: Where a message links to.
    dashboard: str = Field(default="", pattern=r"^(https?://\S+)?$")
    #: Dimensions that become labels of metrics. Each value is a time series: not for those with thousands.
    labels: tuple[Annotated[tuple[str, ...], BeforeValidator(_dimension)], ...] = ()
    #: How long after its end a minute is taken as complete: for events that come a little late.
    settle: Duration = Field(default=10_000, ge=0, le=MINUTE)
    receivers: dict[AlertName, Receiver] = Field(default_factory=dict)
    #: Who is told of alerts that don't say it themselves.
    tell: Names = ()
    #: Alertmanager waits so long for other alerts of the same cause before it tells of the first.
    wait: Duration = 30_000
    #: and tells of an alert again while it lasts.
    repeat: Duration = 4 * HOUR
    alerts: dict[AlertName, Alert] = Field(default_factory=dict)

    def told(self, alert: Alert) -> tuple[str, ...]:
        """The receivers of an alert."""
        return alert.tell or self.tell


def check_alerting(
    alerting: Alerting,
    *,
    dimensions: Collection[tuple[str, ...]],
    funnels: Mapping[str, Funnel],
    events: Container[str] | None,
    lateness: int,
) -> None:
    """Raise ValueError for the first name in `alerting` that the plan doesn't have. `events` None: any may be."""
    breakdowns = {(field,) for funnel in funnels.values() for field in funnel.breakdown}
    for label in alerting.labels:
        if label not in dimensions and label not in breakdowns:
            raise _at(
                "alerting.labels",
                "{label} is neither among the plan's dimensions nor a funnel's breakdown",
                label=" + ".join(label),
            )
    for name in alerting.tell:
        _known_receiver(alerting, "alerting.tell", name)
    if alerting.alerts and lateness < MIN_LATENESS:
        least = format_duration(MIN_LATENESS)
        raise _at("alerting.alerts", "alerts need a lateness of at least {least}", least=least)
    for name, alert in alerting.alerts.items():
        where = f"alerting.alerts.{name}"
        for receiver in alert.tell:
            _known_receiver(alerting, where, receiver)
        _check_causes(alerting, where, name, alert)
        if alert.event is not None and events is not None and alert.event not in events:
            raise _at(f"{where}.event", "the event {event} is not among this plan's events", event=repr(alert.event))
        if alert.metric == "conversion":
            _check_conversion(alerting, funnels, where, alert)
        else:
            _check_label(alerting, dimensions, where, alert)


def _check_causes(alerting: Alerting, where: str, name: str, alert: Alert) -> None:
    for other in alert.under:
        if other not in alerting.alerts or other == name:
            raise _at(f"{where}.under", "there is no other alert {other}", other=repr(other))
        cause = alerting.alerts[other]
        if cause.span_ms + cause.hold_for > alert.span_ms + alert.hold_for:
            # What explains another alert must be known when that one fires.
            raise _at(
                f"{where}.under",
                "{other} takes longer to fire (over + for) than this alert, so it can't explain it in time",
                other=other,
            )


def _known_receiver(alerting: Alerting, where: str, name: str) -> None:
    if name not in alerting.receivers:
        raise _at(where, "there is no receiver {name}", name=repr(name))


def _check_conversion(alerting: Alerting, funnels: Mapping[str, Funnel], where: str, alert: Alert) -> None:
    funnel = funnels.get(alert.funnel or "")
    if funnel is None:
        raise _at(f"{where}.funnel", "there is no funnel {funnel}", funnel=repr(alert.funnel))
    try:
        funnel.step_number(alert.step or "")
    except ValueError as exc:
        raise TranslatableValueError("{place}: {why}", place=f"{where}.step", why=exc) from None
    if len(alert.fields) > 1:
        raise _at(where, "a funnel is broken down by one field at a time")
    for field in alert.fields:
        if field not in funnel.breakdown or (field,) not in alerting.labels:
            raise _at(where, "{field} must be in the funnel's breakdown and in alerting.labels", field=field)


def _check_label(alerting: Alerting, dimensions: Collection[tuple[str, ...]], where: str, alert: Alert) -> None:
    """The alert's fields must be a label, so that there is a figure of them."""
    if not alert.fields or any(set(x) == set(alert.fields) and x in dimensions for x in alerting.labels):
        return
    wanted = f"[{', '.join(alert.fields)}]" if len(alert.fields) > 1 else alert.fields[0]
    raise _at(where, "put {fields} into the plan's dimensions and into alerting.labels", fields=wanted)


def _at(place: str, text: str, /, **values: object) -> TranslatableValueError:
    """A mistake with its place in the plan."""
    return TranslatableValueError("{place}: {why}", place=place, why=TranslatableValueError(text, **values))
