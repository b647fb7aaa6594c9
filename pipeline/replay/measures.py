"""What a replay finds: every live measure of a plan, whichever way it was computed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from operator import add
from typing import Any, Final, NamedTuple

from pipeline.ingest.records import Outcome
from pipeline.measure.funnel_counts import FunnelCell, StepTimes
from schemas.plan import Plan

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
GRAINS: Final = ("minute", "hour", "day", "day_utc")


class Window(NamedTuple):
    """What an activity line counts. `dimension` is "" for the total, else the plan's fields joined by ","."""

    grain: str
    start: int  # epoch ms
    end: int
    dimension: str
    value: tuple[str, ...]


class Counts(NamedTuple):
    """An activity line's figures; users, sessions and registrations may be estimates."""

    events: int
    amount: int  # 10^-6 units
    users: float
    sessions: float
    registrations: float


class Cohort(NamedTuple):
    """What a funnel line counts. `breakdown` is "" for the total, else the field."""

    funnel: str
    start: int  # of the bucket, epoch ms
    end: int
    breakdown: str
    value: str


@dataclass(slots=True)
class Totals:
    """What became of the records."""

    outcomes: dict[Outcome, int] = field(default_factory=lambda: dict.fromkeys(Outcome, 0))
    reasons: dict[str, int] = field(default_factory=dict)

    def reject(self, reason: str) -> None:
        """Count a line that did not even become a record."""
        self.outcomes[Outcome.REJECTED] += 1
        self.reasons[reason] = self.reasons.get(reason, 0) + 1

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "lines": sum(self.outcomes.values()),
            "accepted": self.outcomes[Outcome.ACCEPTED],
            "late": self.outcomes[Outcome.LATE],
            "duplicate": self.outcomes[Outcome.DUPLICATE],
            "rejected": self.outcomes[Outcome.REJECTED],
            "reasons": dict(sorted(self.reasons.items())),
        }


@dataclass(slots=True)
class Measures:
    """Everything measured; figures of several partitions are added up."""

    plan: Plan
    totals: Totals = field(default_factory=Totals)
    activity: dict[Window, Counts] = field(default_factory=dict)
    funnels: dict[Cohort, FunnelCell] = field(default_factory=dict)
    #: Funnels whose step times are not known: ClickHouse can't give those of `strict_once`.
    untimed: frozenset[str] = frozenset()

    def add_window(self, window: Window, counts: Counts) -> None:
        """Count a window of one partition."""
        found = self.activity.get(window)
        if found is not None:
            (events, amount, *more), (events_too, amount_too, *others) = found, counts
            counts = Counts(events + events_too, amount + amount_too, *map(add, more, others))
        self.activity[window] = counts

    def add_cohort(self, cohort: Cohort, cell: FunnelCell) -> None:
        """Count a funnel's bucket and value of one partition."""
        found = self.funnels.get(cohort)
        if found is None:
            self.funnels[cohort] = cell
        else:
            found.merge(cell)

    def windows(self) -> list[tuple[Window, Counts]]:
        """The activity in its stable order: grain, start, dimension as in the plan, value."""
        names = ["", *(",".join(dimension) for dimension in self.plan.dimensions)]
        return sorted(
            self.activity.items(),
            key=lambda item: (GRAINS.index(item[0].grain), item[0].start, names.index(item[0].dimension), item[0]),
        )

    def cohorts(self) -> list[tuple[Cohort, FunnelCell]]:
        """The funnels in their stable order: as in the plan, by start, breakdown as in the plan, value."""
        names = list(self.plan.funnels)
        return sorted(
            ((cohort, cell) for cohort, cell in self.funnels.items() if any(cell.counts)),
            key=lambda item: (names.index(item[0].funnel), item[0].start, self._breakdown(item[0]), item[0].value),
        )

    def overall(self) -> list[tuple[Cohort, FunnelCell]]:
        """The funnels over all buckets; a user counts once in each bucket that it entered."""
        summed: dict[tuple[str, str, str], tuple[Cohort, FunnelCell]] = {}
        for cohort, cell in self.cohorts():
            key = (cohort.funnel, cohort.breakdown, cohort.value)
            if key not in summed:
                summed[key] = (cohort, FunnelCell(len(cell.counts) - 1))
            first, total = summed[key]
            total.merge(cell)
            summed[key] = (first._replace(end=cohort.end), total)
        names = list(self.plan.funnels)
        return sorted(
            summed.values(), key=lambda item: (names.index(item[0].funnel), self._breakdown(item[0]), item[0].value)
        )

    def _breakdown(self, cohort: Cohort) -> int:
        return ("", *self.plan.funnels[cohort.funnel].breakdown).index(cohort.breakdown)

    # -- as JSON -------------------------------------------------------------------------------------------------

    def activity_documents(self) -> Iterator[dict[str, Any]]:
        """One object a window and value."""
        for window, counts in self.windows():
            yield {
                "grain": window.grain,
                **_span(window.start, window.end),
                "dimension": window.dimension,
                "value": list(window.value),
                "events": counts.events,
                "users": round(counts.users),
                "sessions": round(counts.sessions),
                "registrations": round(counts.registrations),
                "amount": decimal_text(counts.amount),
            }

    def funnel_documents(self, rows: Iterable[tuple[Cohort, FunnelCell]]) -> Iterator[dict[str, Any]]:
        """One object a bucket and value."""
        for cohort, cell in rows:
            timed = cohort.funnel not in self.untimed
            yield {
                "funnel": cohort.funnel,
                **_span(cohort.start, cohort.end),
                "breakdown": cohort.breakdown,
                "value": cohort.value,
                "steps": [step.title for step in self.plan.funnels[cohort.funnel].steps],
                "users": cell.users,
                "times": [
                    time_document(times, count, timed) for times, count in zip(cell.times, cell.users[1:], strict=True)
                ],
            }


def time_document(times: StepTimes, count: int, timed: bool) -> Mapping[str, Any]:
    """The time from one step to the next: users, and mean, median and 90th percentile in ms."""
    if not timed:
        return {"count": count, "mean_ms": None, "median_ms": None, "p90_ms": None}
    figures = {"mean_ms": times.mean, "median_ms": times.median, "p90_ms": times.quantile(0.9)}
    return {"count": count, **{k: None if v is None else round(v, 3) for k, v in figures.items()}}


def _span(start: int, end: int) -> dict[str, Any]:
    return {"start": moment_text(start), "start_ms": start, "end": moment_text(end), "end_ms": end}


def moment_text(ms: int) -> str:
    """RFC 3339, UTC."""
    return (_EPOCH + timedelta(milliseconds=ms)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def decimal_text(micro: int) -> str:
    """10^-6 units as a decimal number, exactly."""
    sign, digits = "-" if micro < 0 else "", f"{abs(micro):07d}"
    return sign + f"{digits[:-6]}.{digits[-6:]}".rstrip("0").rstrip(".")
