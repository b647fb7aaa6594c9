"""What a report is made of: the figures that were asked for, and the findings that follow from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Literal

from pipeline.alerts.prometheus import ActiveAlert
from pipeline.insight.contribution import Amounts
from pipeline.insight.model import FunnelFacts
from pipeline.metrics import Table

Kind = Literal["day", "week"]


@dataclass(frozen=True)
class Period:
    """The days of a report, both included, and those it is compared with."""

    kind: Kind
    first: date
    last: date

    @property
    def days(self) -> int:
        """How many."""
        return (self.last - self.first).days + 1

    @property
    def before(self) -> Period:
        """The days right before, as many."""
        return Period(self.kind, self.first - timedelta(days=self.days), self.last - timedelta(days=self.days))

    @property
    def reference(self) -> Period:
        """What findings are measured against: the same weekday for a day, the week before for a week."""
        return self.same_weekday if self.kind == "day" else self.before

    @property
    def same_weekday(self) -> Period:
        """For a day the same weekday of the week before; for a week the one four weeks before."""
        back = timedelta(days=7 if self.kind == "day" else 28)
        return Period(self.kind, self.first - back, self.last - back)


def day_period(day: date) -> Period:
    """The report of a day."""
    return Period("day", day, day)


def week_period(day: date) -> Period:
    """The report of the week, Monday to Sunday, in which a day lies."""
    first = day - timedelta(days=day.weekday())
    return Period("week", first, first + timedelta(days=6))


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
    period: Period
    key: Key
    before: Key
    same_weekday: Key
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
    #: None if there is no Prometheus to ask.
    alerts: tuple[ActiveAlert, ...] | None = None
    #: Parts that could not be asked, with the reason.
    missing: tuple[str, ...] = ()

    @property
    def reference(self) -> Key:
        """The key figures of the days that findings are measured against."""
        return self.same_weekday if self.period.kind == "day" else self.before
