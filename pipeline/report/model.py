"""What a report is made of: the figures that were asked for, and the findings that follow from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Final, Literal
from zoneinfo import ZoneInfo

from pipeline.alerts.prometheus import ActiveAlert
from pipeline.insight.contribution import Amounts
from pipeline.insight.model import FunnelFacts
from pipeline.measure.periods import Period
from pipeline.metrics import Table
from schemas.plan import Plan

Kind = Literal["day", "week"]
#: The part of a report that says what changed, and what it is made of besides the funnels' steps.
CHANGED: Final = "changed"
CHANGED_PEOPLE, CHANGED_MONEY, CHANGED_QUALITY = "changed people", "changed money", "changed quality"
#: For so many days after the first records a person who is new may have been there before them.
NEWCOMERS_DAYS: Final = 28


@dataclass(frozen=True)
class ReportPeriod(Period):
    """The days of a report that are over, and those they are compared with.

    `asked` is the last day that was asked for, where the report is made before it is over.
    """

    kind: Kind = "day"
    asked: date | None = None

    @property
    def before(self) -> Period:
        """The day before, or the same days of the week before."""
        return self.back(1 if self.kind == "day" else 7)

    @property
    def reference(self) -> Period:
        """What findings are measured against: the same weekday for a day, the week before for a week."""
        return self.same_weekday if self.kind == "day" else self.before

    @property
    def same_weekday(self) -> Period:
        """For a day the same weekday of the week before; for a week the one four weeks before."""
        return self.back(7 if self.kind == "day" else 28)

    @property
    def last_whole(self) -> date:
        """The last day that is over: daily curves and cohorts end there."""
        return self.last if self.until is None else self.last - timedelta(days=1)

    def so_far(self, now: int, zone: ZoneInfo) -> ReportPeriod | None:
        """What of it is over at `now` (epoch ms); None if nothing is."""
        over = self.over(now, zone)
        if over is None:
            return None
        cut = over.last != self.last or over.until is not None
        return ReportPeriod(over.first, over.last, over.until, self.kind, self.last if cut else None)


def day_period(day: date) -> ReportPeriod:
    """The report of a day."""
    return ReportPeriod(day, day, kind="day")


def week_period(day: date) -> ReportPeriod:
    """The report of the week, Monday to Sunday, in which a day lies."""
    first = day - timedelta(days=day.weekday())
    return ReportPeriod(first, first + timedelta(days=6), kind="week")


def funnel_part(name: str) -> str:
    """The part about a funnel."""
    return f"funnel {name}"


def users_of(name: str) -> str:
    """Of the part about a funnel how many took each step; `days_of` is the rest."""
    return f"users of {name}"


def days_of(name: str) -> str:
    """Of the part about a funnel its days."""
    return f"days of {name}"


def changed_steps(name: str) -> str:
    """The part of what changed that is about a funnel's steps."""
    return f"changed steps {name}"


def changed_parts(plan: Plan) -> tuple[str, ...]:
    """What the part `changed` is made of: each can be asked for by itself."""
    return (CHANGED_PEOPLE, CHANGED_MONEY, *map(changed_steps, plan.funnels), CHANGED_QUALITY)


def pieces_of(plan: Plan) -> tuple[str, ...]:
    """Pieces of parts, each of which can be asked for by itself: of what changed, and of the funnels."""
    return (*changed_parts(plan), *[of(name) for name in plan.funnels for of in (users_of, days_of)])


def parts_of(plan: Plan) -> tuple[str, ...]:
    """The parts of a report, most important first."""
    funnels = map(funnel_part, plan.funnels)
    return (CHANGED, "keys", *funnels, "retention", "channels", "campaigns", "experiments", "quality", "alerts")


@dataclass(frozen=True)
class Key:
    """The key figures of some days; None where there is nothing to divide."""

    users: int = 0
    new_users: int = 0
    sessions: int = 0
    events: int = 0
    orders: int = 0
    buyers: int = 0
    revenue: float = 0.0

    @property
    def average_order(self) -> float | None:
        """Revenue an order."""
        return self.revenue / self.orders if self.orders else None

    @property
    def paying_rate(self) -> float | None:
        """Buyers of all users."""
        return self.buyers / self.users if self.users else None


@dataclass(frozen=True)
class Quality:
    """What became of the records that came in the period."""

    accepted: int = 0
    late: int = 0
    duplicate: int = 0
    rejected: int = 0
    reasons: tuple[tuple[str, int, str], ...] = ()

    @property
    def seen(self) -> int:
        """All of them."""
        return self.accepted + self.late + self.duplicate + self.rejected


@dataclass(frozen=True)
class Facts:
    """Everything that was asked of ClickHouse."""

    product: str
    period: ReportPeriod
    key: Key = Key()
    before: Key = Key()
    same_weekday: Key = Key()
    #: The first day of which there are records to speak of; None: all days that are told have theirs.
    since: date | None = None
    #: By measure (users, new_users, orders, revenue), the dimensions' values in the period and in the reference.
    segments: Mapping[str, Mapping[str, tuple[Amounts, Amounts]]] = field(default_factory=dict)
    daily: Sequence[tuple[date, int, float]] = ()
    funnels: tuple[FunnelFacts, ...] = ()
    retention: Table | None = None
    channels: Table | None = None
    campaigns: Table | None = None
    experiments: Table | None = None
    allocation: Table | None = None
    quality: Quality = Quality()
    quality_before: Quality = Quality()
    #: What happened, by day of the plan's zone, for the charts over days.
    happened: tuple[tuple[date, str], ...] = ()
    #: None if there is no Prometheus to ask.
    alerts: tuple[ActiveAlert, ...] | None = None
    #: Parts that could not be asked, with the reason.
    missing: tuple[str, ...] = ()

    def knows(self, span: Period, measure: str = "users") -> bool:
        """Whether there are records of the whole span; for new users of the weeks before it, too.

        For some time after the first records, whoever was there before them comes for the first time.
        """
        before = NEWCOMERS_DAYS if measure == "new_users" else 0
        return self.since is None or self.since <= span.first - timedelta(days=before)

    @property
    def reference(self) -> Key:
        """The key figures of the days that findings are measured against."""
        return self.same_weekday if self.period.kind == "day" else self.before
