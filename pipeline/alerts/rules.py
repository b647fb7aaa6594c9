"""The Prometheus rules of a plan: recorded sums, the figures that alerts watch, the alerts. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import yaml

from pipeline.alerts import figures
from pipeline.alerts.conditions import HOLD, expression, recordings
from pipeline.alerts.promql import as_template
from pipeline.alerts.texts import describe, summary, title_of, words_of
from schemas.alerts import PER_MINUTE, PIPELINE, Alert
from schemas.duration import format_duration
from schemas.plan import Plan

#: How often Prometheus evaluates the rules.
INTERVAL: Final = 15_000
NO_DATA: Final = "StreamgaugeNoData"
GROUP: Final = "streamgauge"
#: Ends the names of alerts that only silence others.
LATELY: Final = "_lately"

Rule = dict[str, Any]


def sums(plan: Plan) -> list[Rule]:
    """The figures of the product, added up over partitions, for moments at which all partitions are current."""
    current = "count(max by (partition) (streamgauge_partition_current) == 1)"
    rules = [_record(figures.COMPLETE, f"{current} == max(streamgauge_partitions)")]
    for metric in PER_MINUTE:
        if metric != "registrations" or plan.registration is not None:
            rules.append(_sum(figures.minute_sum(metric), f"streamgauge_minute_{metric}", "dimension", "value"))
    rules += [
        _sum(figures.ACTIVE, "streamgauge_active_users", "span"),
        _sum("streamgauge:today:sum", "streamgauge_today", "measure"),
        _sum(figures.RECORDS, "streamgauge_records_total", "outcome"),
    ]
    if plan.funnels:
        rules += [
            _sum(figures.FUNNEL, "streamgauge_funnel_users", "funnel", "step", "title", "breakdown", "value", "bucket"),
            _record(figures.BUCKET, "max by (funnel) (streamgauge_funnel_bucket_seconds)"),
        ]
    # These must show what is not current, too.
    rules += [
        _record(figures.LAG, "max(max by (partition) (streamgauge_lag_seconds))"),
        _record(figures.FRESHNESS, "max(max by (partition) (streamgauge_freshness_seconds))"),
    ]
    return rules


def watched(plan: Plan, interval: int = INTERVAL) -> Iterator[Rule]:
    """The figure of each alert and what it is compared with."""
    for record, text in figures.flows(plan):
        yield _record(record, text)
    for name, alert in plan.alerting.alerts.items():
        for record, text in recordings(plan, name, alert, interval):
            yield {**_record(record, text), "labels": {"rule": name}}


def alerts(plan: Plan) -> Iterator[Rule]:
    """The alerts, that of missing data first."""
    words = words_of(plan.alerting.language)
    yield {
        "alert": NO_DATA,
        "expr": f"absent_over_time({figures.COMPLETE}[{format_duration(HOLD)}])",
        "for": "1m",
        "labels": {"severity": "critical", "kind": "pipeline", "subject": "data"},
        "annotations": {
            "title": words["no_data"],
            "summary": str(words["no_data_summary"]).format(hold=format_duration(HOLD)),
            "todo": words["no_data_todo"],
            **({"link": plan.alerting.dashboard} if plan.alerting.dashboard else {}),
        },
    }
    for name, alert in plan.alerting.alerts.items():
        annotations = {
            "title": title_of(name, alert),
            "summary": summary(plan, name, alert),
            "condition": describe(alert),
            "description": alert.description,
            "todo": alert.todo,
            "link": plan.alerting.dashboard,
        }
        yield {
            "alert": name,
            "expr": expression(name, alert),
            "for": format_duration(alert.hold_for),
            # It ends only when it has been over for a while: no flapping.
            "keep_firing_for": format_duration(alert.keep),
            "labels": {"severity": alert.severity, "kind": kind_of(alert), "subject": as_template(subject_of(alert))},
            "annotations": {key: text for key, text in annotations.items() if text},
        }


def causes(plan: Plan) -> Iterator[Rule]:
    """For each alert that explains others: one that nobody is told of, and that lasts until those others are over.

    Alertmanager silences an alert while its cause fires. Figures don't recover at the same moment, so without this the
    end of a cause would be followed by messages about what it had caused.
    """
    #: How long each lasts on.
    longer: dict[str, int] = {}
    found = {rule["alert"]: rule for rule in alerts(plan)}
    for name, rule in found.items():
        if rule["labels"]["kind"] == "pipeline":
            longer[name] = HOLD
    for alert in plan.alerting.alerts.values():
        for cause in alert.under:
            longer[cause] = max(longer.get(cause, 0), alert.span_ms + alert.hold_for + alert.keep)
    for name, more in longer.items():
        rule = found[name]
        own = plan.alerting.alerts[name].keep if name in plan.alerting.alerts else 0
        yield {
            "alert": name + LATELY,
            "expr": rule["expr"],
            "for": rule["for"],
            "keep_firing_for": format_duration(own + more),
            "labels": {"severity": "none", "kind": "cause", "cause": name},
        }


def kind_of(alert: Alert) -> str:
    """What an alert is about: trouble of the pipeline explains whatever the product's figures do."""
    if alert.metric in PIPELINE:
        return "pipeline"
    return "contract" if alert.metric == "rejected_share" else "product"


def subject_of(alert: Alert) -> str:
    """What an alert's figure is of: of several alerts with one subject only the most severe is told."""
    where = ",".join(f"{k}={v}" for k, v in sorted(alert.values.items()))
    parts = (alert.metric, alert.event, alert.funnel, alert.step, where, *alert.by)
    return ":".join(part for part in parts if part)


def document(plan: Plan, interval: int = INTERVAL) -> dict[str, Any]:
    """The rules file."""
    rules = [*sums(plan), *watched(plan, interval), *alerts(plan), *causes(plan)]
    # One group: its rules are evaluated one after the other, at the same time, each on what those before recorded.
    return {"groups": [{"name": GROUP, "interval": format_duration(interval), "rules": rules}]}


def text(plan: Plan, interval: int = INTERVAL) -> str:
    """The rules file as YAML."""
    head = f"# Made from the plan of {plan.product} by `streamgauge alerts render`: change the plan, not this file.\n"
    return head + yaml.safe_dump(document(plan, interval), sort_keys=False, allow_unicode=True, width=1_000_000)


def _record(name: str, expr: str) -> Rule:
    return {"record": name, "expr": expr}


def _sum(name: str, metric: str, *labels: str) -> Rule:
    by = ", ".join(labels)
    # Of a partition that two workers report for a moment, one report counts.
    each = f"max by (partition, {by}) ({metric})"
    return _record(name, f"sum by ({by}) ({each}) and on() {figures.COMPLETE}")
