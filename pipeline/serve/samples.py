"""What `/metrics` shows of the product: samples of the states of partitions. Pure: states and a time in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric as Family

from pipeline.measure.windows import bounds
from pipeline.serve import names
from pipeline.serve.complete import Minutes, funnel_users
from pipeline.serve.names import Name
from pipeline.serve.numbers import window_total
from pipeline.state.partition import PartitionState
from schemas.plan import Plan

Sample = tuple[Name, tuple[str, ...], float]


def product_samples(states: Iterable[PartitionState], plan: Plan, minutes: Minutes, now: int) -> Iterator[Sample]:
    """The product's figures of partitions that are current at `now` (epoch ms): metric, label values, value."""
    day = bounds("day", now, plan.zone)[0]
    for state in states:
        p = str(state.partition)
        for outcome, count in state.totals.items():
            yield names.RECORDS, (p, outcome.name.lower()), count
        for reason, count in state.reasons.items():
            yield names.REJECTED, (p, reason), count
        minute = minutes.of(state, now)
        if minute is not None:
            yield names.MINUTE_START, (p,), minute.start / 1000
            for (dimension, value), counts in minute.counts.items():
                yield names.MINUTE_EVENTS, (p, dimension, value), counts.events
                yield names.MINUTE_USERS, (p, dimension, value), counts.users
                yield names.MINUTE_SESSIONS, (p, dimension, value), counts.sessions
                if plan.registration is not None:
                    yield names.MINUTE_REGISTRATIONS, (p, dimension, value), counts.registrations
                yield names.MINUTE_REVENUE, (p, dimension, value), counts.revenue / 1e6
            for span, users in minute.active.items():
                yield names.ACTIVE, (p, span), users
        today = window_total([state], "day", day)
        yield names.TODAY, (p, "events"), today["events"]
        yield names.TODAY, (p, "users"), today["users"]
        yield names.TODAY, (p, "sessions"), today["sessions"]
        yield names.TODAY, (p, "registrations"), today["registrations"]
        yield names.TODAY, (p, "revenue"), today["value_micro"] / 1e6
        for row in funnel_users(state, plan, now):
            steps = plan.funnels[row.funnel].steps
            for number, (step, users) in enumerate(zip(steps, row.users, strict=True), start=1):
                labels = (p, row.funnel, str(number), step.title, row.breakdown, row.value, row.bucket)
                yield names.FUNNEL_USERS, labels, users


def funnel_buckets(plan: Plan, now: int) -> Iterator[Sample]:
    """When the current bucket of each funnel began."""
    for name, funnel in plan.funnels.items():
        yield names.FUNNEL_BUCKET, (name,), bounds(funnel.bucket, now, plan.zone)[0] / 1000


def families(samples: Iterable[Sample]) -> list[Family]:
    """The samples of each metric together, as OpenMetrics wants them."""
    found: dict[str, Any] = {}
    for metric, labels, value in samples:
        family = found.get(metric.name)
        if family is None:
            kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
            family = found[metric.name] = kind(metric.name, metric.meaning, labels=metric.labels)
        family.add_metric(labels, value)
    return list(found.values())
