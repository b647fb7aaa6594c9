"""The `alerting` part of a tracking plan: which alerts there are, in the words of the product, and whom to tell.

`pipeline.alerts` makes Prometheus rules and an Alertmanager configuration of it.
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from schemas.duration import Duration, format_duration

if TYPE_CHECKING:
    from schemas.plan import Funnel, Plan

#: Becomes the `alertname` in Prometheus and Alertmanager.
AlertName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$", max_length=80)]
MINUTE = 60_000
#: A minute's figures are kept for the lateness: a shorter one than this could forget them before they are read.
MIN_LATENESS = 2 * MINUTE


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, ignored_types=(cached_property,))


def _share(value: Any) -> Any:
    """`30%` is 0.3; a number stays what it is."""
    if isinstance(value, str) and (found := re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*%\s*", value)):
        return float(found[1]) / 100
    return value


def _seconds(value: Any) -> Any:
    """A duration as seconds, a share as a number, a number as it is: what a figure is compared with."""
    value = _share(value)
    if isinstance(value, str) and re.fullmatch(r"(\d+(ms|[smhdw]))+", value):
        from schemas.duration import parse_duration

        return parse_duration(value) / 1000
    return value


Share = Annotated[float, BeforeValidator(_share), Field(gt=0)]
Level = Annotated[float, BeforeValidator(_seconds)]


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


class Webhook(_Model):
    """Alertmanager's own JSON, sent to a URL."""

    url: str = Field(pattern=r"^https?://[^\s/@]+(/\S*)?$")


class Slack(_Model):
    """A Slack channel. `url_file` holds the address of its incoming webhook, which is a secret."""

    url_file: str
    channel: str


class Email(_Model):
    """A mailbox. `password_file` holds the password of `username` at the mail server."""

    to: str
    sender: str = Field(alias="from")
    server: str = Field(pattern=r"^[^\s:]+:\d+$")
    username: str | None = None
    password_file: str | None = None
    require_tls: bool = True


class WeCom(_Model):
    """An application of WeCom (企业微信). `secret_file` holds its secret."""

    corp_id: str
    agent_id: str
    secret_file: str
    to_user: str = "@all"


class Robot(_Model):
    """A robot in a group of Feishu or DingTalk. `url_file` holds its address, `secret_file` the key it signs with."""

    url_file: str
    secret_file: str | None = None


class Receiver(_Model):
    """Where messages go: one of the kinds."""

    webhook: Webhook | None = None
    slack: Slack | None = None
    email: Email | None = None
    wecom: WeCom | None = None
    feishu: Robot | None = None
    dingtalk: Robot | None = None
    #: The bridge writes messages on its standard output: to try things out.
    printed: Literal[True] | None = Field(default=None, alias="print")

    @model_validator(mode="after")
    def _one_kind(self) -> Receiver:
        if len(self.kinds) != 1:
            names = ", ".join(f.alias or name for name, f in type(self).model_fields.items())
            raise ValueError(f"a receiver is exactly one of {names}")
        return self

    @property
    def kinds(self) -> list[str]:
        """The kinds that are given: one, in a valid receiver."""
        return [name for name in type(self).model_fields if getattr(self, name) is not None]

    @property
    def kind(self) -> str:
        """What kind of receiver it is."""
        return self.kinds[0]


class Alert(_Model):
    """One alert: a metric, a condition, for how long, how severe, whom to tell, what to do."""

    title: str = ""
    description: str = ""
    metric: Metric
    event: str | None = None
    where: dict[str, str] = Field(default_factory=dict)
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
    unusual: float | None = Field(default=None, gt=0)
    direction: Literal["both", "down", "up"] = "both"
    days: int = Field(default=7, ge=3, le=28)

    at_least: float | None = Field(default=None, ge=0)
    over: Duration | None = None
    hold_for: Duration = Field(default=2 * MINUTE, alias="for")
    keep: Duration = 5 * MINUTE
    severity: Literal["info", "warning", "critical"] = "warning"
    tell: Names = ()
    todo: str = ""
    under: Names = ()

    @field_validator("where", mode="before")
    @classmethod
    def _texts(cls, value: Any) -> Any:
        return {k: str(v) if isinstance(v, int | float) else v for k, v in value.items()} if value else {}

    @model_validator(mode="after")
    def _one_condition(self) -> Alert:
        given = [n for n in ("above", "below", "drop", "rise", "absent", "unusual") if getattr(self, n) is not None]
        if len(given) != 1:
            said = " and ".join(given) or "none"
            raise ValueError(f"an alert has one condition (above, below, drop, rise, absent or unusual), not {said}")
        kind = given[0]
        if kind in ("drop", "rise", "absent", "unusual") and self.metric in (*PIPELINE, "rejected_share"):
            raise ValueError(f"{kind} is not for {self.metric}: use above")
        if kind == "absent" and self.metric != "events":
            raise ValueError(f"absent is for events, not for {self.metric}")
        if self.drop is not None and self.drop >= 1:
            raise ValueError("drop: at most 99%: for nothing at all use absent: true")
        if self.metric in ("conversion", "rejected_share") and (self.above or self.below or 0) >= 1:
            raise ValueError(f"{self.metric} is a share: write it like 40%")
        if self.against != "last_week" and kind not in ("drop", "rise", "absent"):
            raise ValueError("against goes with drop, rise or absent")
        return self

    @model_validator(mode="after")
    def _fields_fit_metric(self) -> Alert:
        if (self.metric == "conversion") != (self.funnel is not None and self.step is not None):
            raise ValueError("funnel and step go with the metric conversion, which needs both")
        if self.event is not None and self.metric not in PER_MINUTE:
            raise ValueError(f"event is not for {self.metric}")
        if (self.where or self.by) and self.metric not in (*PER_MINUTE, "conversion"):
            raise ValueError(f"where and by are not for {self.metric}")
        if len(self.by) > 1:
            raise ValueError("by: one field: each of its values is watched by itself")
        if set(self.by) & {*self.where, *(("event",) if self.event else ())}:
            raise ValueError(f"by: {self.by[0]} is set already")
        if self.over is not None and self.over < (MINUTE if self.metric in PER_MINUTE else 1000):
            raise ValueError("over: at least 1m, the time that a figure is of")
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
    def fields(self) -> tuple[str, ...]:
        """The fields whose values the figure is of: `event`, those of `where`, that of `by`."""
        return (*(("event",) if self.event else ()), *self.where, *self.by)


class Alerting(_Model):
    """Alerts, who is told of them, and what `/metrics` shows for them."""

    language: Literal["en", "zh"] = "en"
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
    repeat: Duration = 4 * 3_600_000
    alerts: dict[AlertName, Alert] = Field(default_factory=dict)

    def told(self, alert: Alert) -> tuple[str, ...]:
        """The receivers of an alert."""
        return alert.tell or self.tell


def check_alerting(plan: Plan) -> None:
    """Raise ValueError for the first name in `plan.alerting` that the plan doesn't have."""
    alerting = plan.alerting
    breakdowns = {(field,) for funnel in plan.funnels.values() for field in funnel.breakdown}
    for label in alerting.labels:
        if label not in plan.dimensions and label not in breakdowns:
            raise ValueError(
                f"alerting.labels: {' + '.join(label)} is neither among the plan's dimensions nor a funnel's breakdown"
            )
    for name in alerting.tell:
        _known_receiver(alerting, "alerting.tell", name)
    if alerting.alerts and plan.lateness < MIN_LATENESS:
        raise ValueError(f"alerting.alerts: alerts need a lateness of at least {format_duration(MIN_LATENESS)}")
    for name, alert in alerting.alerts.items():
        where = f"alerting.alerts.{name}"
        for receiver in alert.tell:
            _known_receiver(alerting, where, receiver)
        for other in alert.under:
            if other not in alerting.alerts or other == name:
                raise ValueError(f"{where}.under: there is no other alert {other!r}")
            cause = alerting.alerts[other]
            if cause.span_ms + cause.hold_for > alert.span_ms + alert.hold_for:
                # What explains another alert must be known when that one fires.
                raise ValueError(
                    f"{where}.under: {other} takes longer to fire (over + for) than this alert, so it can't explain it "
                    f"in time"
                )
        if alert.event is not None and plan.unknown_events == "reject" and alert.event not in plan.events:
            raise ValueError(f"{where}.event: the event {alert.event!r} is not among this plan's events")
        if alert.metric == "conversion":
            _check_conversion(plan, where, alert)
        else:
            label_of(plan, alert, where)


def _known_receiver(alerting: Alerting, where: str, name: str) -> None:
    if name not in alerting.receivers:
        raise ValueError(f"{where}: there is no receiver {name!r}")


def _check_conversion(plan: Plan, where: str, alert: Alert) -> None:
    funnel = plan.funnels.get(alert.funnel or "")
    if funnel is None:
        raise ValueError(f"{where}.funnel: there is no funnel {alert.funnel!r}")
    step_number(funnel, alert.step or "", where)
    if len(alert.fields) > 1:
        raise ValueError(f"{where}: a funnel is broken down by one field at a time")
    for field in alert.fields:
        if field not in funnel.breakdown or (field,) not in plan.alerting.labels:
            raise ValueError(f"{where}: {field} must be in the funnel's breakdown and in alerting.labels")


def step_number(funnel: Funnel, step: str, where: str = "step") -> int:
    """The number of a step, from 2 on, by its name or its event. Raises ValueError if there is none or several."""
    found = [n for n, s in enumerate(funnel.steps, start=1) if s.title == step]
    if len(found) != 1 or found[0] == 1:
        names = ", ".join(s.title for s in funnel.steps[1:])
        raise ValueError(f"{where}.step: {step!r} must be one step after the first: {names}")
    return found[0]


def label_of(plan: Plan, alert: Alert, where: str) -> tuple[str, ...]:
    """The label dimension that an alert's fields are found under; () for the total. Raises ValueError without one."""
    if not alert.fields:
        return ()
    for label in plan.alerting.labels:
        if set(label) == set(alert.fields) and label in plan.dimensions:
            return label
    wanted = f"[{', '.join(alert.fields)}]" if len(alert.fields) > 1 else alert.fields[0]
    raise ValueError(f"{where}: put {wanted} into the plan's dimensions and into alerting.labels")
