"""What people read. Texts of rules are templates that Prometheus fills in."""

from __future__ import annotations

from typing import Any, Final

from pipeline.alerts.conditions import REFERENCE, SEGMENT, held
from pipeline.alerts.promql import as_template, number
from pipeline.errors import UserError
from pipeline.insight.contribution import EXPLAINS
from pipeline.render.language import CODES, Language
from schemas.alerts import PER_MINUTE, Alert
from schemas.duration import format_duration
from schemas.plan import Plan
from schemas.translatable import ENGLISH, Sentence, Speech

_SHARES: Final = ("conversion", "rejected_share")
_TIMES: Final = ("lag", "freshness")
#: A segment is a value that a producer sent: a line break in it must not look like a line of ours.
_IN_ONE_LINE: Final = ' | reReplaceAll "[[:cntrl:]]+" " "'

WORDS: Final[dict[str, str]] = {
    "events": "events a minute", "users": "users a minute", "sessions": "sessions a minute",
    "registrations": "registrations a minute", "revenue": "revenue a minute",
    "active_users": "active users of the last {span}", "conversion": "from {before} to {step}",
    "rejected_share": "share of rejected records", "lag": "behind Kafka by",
    "freshness": "events are visible after",
    "of": "{metric} of {what}", "for": "in {what}", "is": "{title}: {value}", "compared": "{value} ({with})",
    "limit": "limit {limit}",
    "yesterday": "at this time yesterday", "last_week": "at this time a week ago",
    "median": "usually at this time", "none": "none for {time}", "mostly": ", mostly {segment}",
    "firing": "Alert", "resolved": "Over", "since": "since {time}", "lasted": "from {start} to {end}",
    "todo": "To do: {todo}", "more": "Details", "explains": "{share} of it is {segment}: {now} (before: {then})",
        "no_data": "No complete figures", "no_data_todo":
        "Is every worker running and ready (/health)? Does Kafka answer? Until then other alerts say nothing.",
    "no_data_summary": "For {hold} there was no moment at which every partition was counted up to now.",
}  # fmt: skip
SEVERITIES: Final = {"info": "information", "warning": "warning", "critical": "critical"}


def words_of(language: str) -> dict[str, Any]:
    """The words of alerts in a language, by what they are for; `severity` by its name.

    Raises UserError for a language that there is no table of.
    """
    if language not in CODES:
        why = Sentence(
            "there are no words in {given}; there are some in {known}", given=language, known=", ".join(CODES)
        )
        raise UserError("{place}: {why}", place="alerting.language", why=why)
    t = Language(language)
    severities = {name: t.of("severity", text) for name, text in SEVERITIES.items()}
    return {name: t.of("alert", text) for name, text in WORDS.items()} | {"severity": severities}


def title_of(name: str, alert: Alert) -> str:
    """What an alert is called."""
    return alert.title or name.replace("_", " ")


def summary(plan: Plan, name: str, alert: Alert) -> str:
    """One line: what, how much, compared with what; a template."""
    words = words_of(plan.alerting.language)
    value = _shown(alert, "$value")
    what = as_template(metric_words(plan, alert))
    text = f"{what} {value}"
    if alert.by:
        segment = f"{as_template(alert.by[0])} {{{{ $labels.segment{_IN_ONE_LINE} }}}}"
        text = str(words["is"]).format(title=segment, value=text)
    compared = str(words["compared"])
    match alert.condition:
        case "above" | "below":
            level = alert.above if alert.condition == "above" else alert.below
            limit = str(words["limit"]).format(limit=plain(alert, level or 0))
            text = compared.format(value=text, **{"with": limit})
        case "absent":
            none = str(words["none"]).format(time=format_duration(alert.span_ms))
            text = str(words["is"]).format(title=what, value=none)
        case condition:
            when = words["median"] if condition == "unusual" else words[alert.against]
            behind = compared.format(value="", **{"with": f"{when} {_shown(alert, '.Value')}"})
            text += _query(name, alert, behind)
    if not alert.by:
        text += _segment(name, str(words["mostly"]))
    return text


def metric_words(plan: Plan, alert: Alert) -> str:
    """What is measured, in words."""
    words = words_of(plan.alerting.language)
    text = str(words[alert.metric])
    if alert.metric == "conversion":
        assert alert.funnel is not None
        titles = [step.title for step in plan.funnels[alert.funnel].steps]
        text = text.format(before=titles[titles.index(alert.step or "") - 1], step=alert.step)
    elif alert.metric == "active_users":
        text = text.format(span=alert.span)
    what = ", ".join(([alert.event] if alert.event else []) + [f"{k} {v}" for k, v in alert.values.items()])
    return str(words["of"]).format(metric=text, what=what) if what else text


def plain(alert: Alert, value: float) -> str:
    """A figure of the alert's metric as people write it."""
    if alert.metric in _SHARES:
        return f"{value * 100:.3g} %"
    if alert.metric in _TIMES:
        return format_duration(round(value * 1000))
    return number(round(value, 2))


def describe(alert: Alert, t: Speech = ENGLISH) -> str:
    """The condition in a few words, for lists."""
    match alert.condition:
        case "above" | "below":
            level = plain(alert, (alert.above if alert.condition == "above" else alert.below) or 0)
            return t("above {level}" if alert.condition == "above" else "below {level}", level=level)
        case "drop" | "rise":
            share = number(100 * ((alert.drop if alert.condition == "drop" else alert.rise) or 0))
            against = t("yesterday" if alert.against == "yesterday" else "last week")
            if alert.condition == "drop":
                return t("drop of {share} % against {against}", share=share, against=against)
            return t("rise of {share} % against {against}", share=share, against=against)
        case "absent":
            return t("none for {time}", time=format_duration(alert.span_ms))
    times = number(alert.unusual or 0)
    return t("unusual: {times} times the spread of {days} days", times=times, days=alert.days)


def _shown(alert: Alert, value: str) -> str:
    """The same, as Prometheus fills it in."""
    if alert.metric in _SHARES:
        return f"{{{{ {value} | humanizePercentage }}}}"
    if alert.metric in _TIMES:
        return f"{{{{ {value} | humanizeDuration }}}}"
    if alert.metric in (*PER_MINUTE, "active_users"):
        return f'{{{{ {value} | printf "%.1f" }}}}'
    return f"{{{{ {value} }}}}"


def _query(name: str, alert: Alert, text: str) -> str:
    """`text`, filled in with what the figure is compared with; nothing if that is not known."""
    if alert.by:
        query = held(REFERENCE, name).replace("}", ",segment=%q}", 1)
        found = f"printf `{query}` $labels.segment | query"
    else:
        found = f"query `{held(REFERENCE, name)}`"
    return f"{{{{ with {found} }}}}{{{{ with . | first }}}}{text}{{{{ end }}}}{{{{ end }}}}"


def _segment(name: str, text: str) -> str:
    # It must make up most of what its field's values explain, as in `insight.contribution`. Coarser than that all the
    # same: rules see only fields that are labels, and neither a segment's size nor what chance does. The bridge asks
    # ClickHouse and names what that finder names.
    found = held(SEGMENT, name)
    query = f"topk(1, {found} > 0 and {found} / on(field) group_left() sum by (field) ({found} > 0) >= {EXPLAINS})"
    shown = text.format(segment=f"{{{{ .Labels.field }}}} {{{{ .Labels.segment{_IN_ONE_LINE} }}}}")
    return f"{{{{ with query `{query}` }}}}{{{{ with . | first }}}}{shown}{{{{ end }}}}{{{{ end }}}}"
