"""The figure that an alert watches, in PromQL, as it is now or was some time before.

Everything is built on recorded sums over all partitions. Such a sum exists only for moments at which every
partition was there and current: a worker that starts, stops or hands over leaves a gap, never a smaller number.
Counts that only grow (funnels, records) are differences between two such moments, not `rate()`: a counter that
moved to another worker, or stepped back after a crash, would look like one that was reset.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil
from typing import Final

from pipeline.alerts.promql import number, pattern, select
from schemas.alerts import PER_MINUTE, Alert
from schemas.duration import format_duration
from schemas.plan import Plan

COMPLETE: Final = "streamgauge:complete"
RECORDS: Final = "streamgauge:records:sum"
FUNNEL: Final = "streamgauge:funnel_users:sum"
BUCKET: Final = "streamgauge:funnel_bucket_seconds:max"
ACTIVE: Final = "streamgauge:active_users:sum"
LAG: Final = "streamgauge:lag_seconds:max"
FRESHNESS: Final = "streamgauge:freshness_seconds:max"
#: Any value of a producer: in Prometheus 2 a dot alone does not match a line break.
ANY: Final = "(?s:.*)"


def minute_sum(metric: str) -> str:
    """The recorded sum of a figure of complete minutes."""
    return f"streamgauge:minute_{metric}:sum"


def funnel_flow(span: int) -> str:
    """The recorded number of users that came to a step within `span` ms."""
    return f"streamgauge:funnel_flow:{format_duration(span)}"


def records_flow(span: int) -> str:
    """The recorded number of records within `span` ms."""
    return f"streamgauge:records_flow:{format_duration(span)}"


def flows(plan: Plan) -> Iterator[tuple[str, str]]:
    """How much the growing counts have grown within the times that alerts look at: record and expression.

    Funnel counts are of two cohort buckets. When a new bucket has begun in between, what was current is previous
    now, and what was previous is gone from the count.
    """
    alerts = plan.alerting.alerts.values()
    by = "funnel, step, breakdown, value"
    for span in sorted({alert.span_ms for alert in alerts if alert.metric == "conversion"}):
        now, before = f"sum by ({by}) ({FUNNEL})", f"sum by ({by}) ({select(FUNNEL, {}, back=span)})"
        before_current = f"sum by ({by}) ({select(FUNNEL, {'bucket': 'current'}, back=span)})"
        same = f"{BUCKET} == {select(BUCKET, {}, back=span)}"
        grown = f"(({now} - {before}) and on(funnel) ({same})) or ({now} - {before_current})"
        yield funnel_flow(span), f"clamp_min({grown}, 0)"
    for span in sorted({alert.span_ms for alert in alerts if alert.metric == "rejected_share"}):
        yield records_flow(span), f"clamp_min({RECORDS} - {select(RECORDS, {}, back=span)}, 0)"


class Figure:
    """An alert's figure. `segment` is a field besides the alert's own: then there is one figure for each value."""

    def __init__(self, plan: Plan, alert: Alert, interval: int, segment: str | None = None) -> None:
        self.plan, self.alert, self._interval = plan, alert, interval
        self._by = segment or (alert.by[0] if alert.by else None)
        self._fields = tuple(dict.fromkeys((*alert.fields, *((segment,) if segment else ()))))

    def value(self, back: int = 0) -> str:
        """The figure `back` ms ago; nothing where its sample is too small or history is missing."""
        alert, over = self.alert, self.alert.span_ms
        if alert.metric in PER_MINUTE:
            chosen = select(minute_sum(alert.metric), self._labels(), span=over, back=back)
            # Half of the samples must be there: what is left of a gap says little.
            enough = max(1, ceil(over / self._interval / 2))
            return self._named(f"(avg_over_time({chosen}) and count_over_time({chosen}) >= {enough})")
        if alert.metric == "active_users":
            return f"max({select(ACTIVE, {'span': alert.span}, back=back)})"
        if alert.metric == "conversion":
            return f"{self.reached(back)} / ({self.entered(back)} >= {number(max(1.0, alert.enough))})"
        if alert.metric == "rejected_share":
            judged = self._more("accepted|late|duplicate|rejected", back)
            return f"{self._more('rejected', back)} / ({judged} >= {number(max(1.0, alert.enough))})"
        return select(LAG if alert.metric == "lag" else FRESHNESS, {}, back=back)

    def entered(self, back: int = 0) -> str:
        """Users that came to the step before the alert's, during its time."""
        return self._flow(self._step() - 1, back)

    def reached(self, back: int = 0) -> str:
        """Users that came to the alert's step, during its time."""
        return self._flow(self._step(), back)

    def _step(self) -> int:
        assert self.alert.funnel is not None
        assert self.alert.step is not None
        return self.plan.funnels[self.alert.funnel].step_number(self.alert.step)

    # -- parts ---------------------------------------------------------------------------------------------------

    def _labels(self) -> dict[str, str]:
        """Which series of complete minutes: one value, or all values of the field that is looked at by itself."""
        if not self._fields:
            return {"dimension": ""}
        wanted = {"event": self.alert.event, **self.alert.values}
        # Fields in the order of the label; any order names it.
        labels = [found for found in self.plan.alerting.labels if found in self.plan.dimensions]
        self._order = label = next(found for found in labels if set(found) == set(self._fields))
        if self._by is None:
            return {"dimension": ",".join(label), "value": " / ".join(str(wanted[field]) for field in label)}
        if len(label) == 1:
            return {"dimension": label[0]}
        values = [ANY if field == self._by else pattern(str(wanted[field])) for field in label]
        return {"dimension": ",".join(label), "value": "~" + " / ".join(values)}

    def _named(self, text: str) -> str:
        """Without the labels of where it came from; with the value looked at as `segment`."""
        if self._by is None:
            return f"max({text})"
        parts = [f"({ANY})" if field == self._by else ANY for field in self._order]
        return f'max by (segment) (label_replace({text}, "segment", "$1", "value", "{" / ".join(parts)}"))'

    def _flow(self, step: int, back: int) -> str:
        alert = self.alert
        assert alert.funnel is not None
        which = {"funnel": alert.funnel, "step": str(step), "breakdown": self._by or ""}
        if self._by is None and alert.where:
            ((which["breakdown"], which["value"]),) = alert.values.items()
        chosen = select(funnel_flow(alert.span_ms), which, back=back)
        if self._by is None:
            return f"max({chosen})"
        return f'max by (segment) (label_replace({chosen}, "segment", "$1", "value", "({ANY})"))'

    def _more(self, outcomes: str, back: int) -> str:
        return f"sum({select(records_flow(self.alert.span_ms), {'outcome': f'~{outcomes}'}, back=back)})"
