"""docs/metrics.md and its sisters, generated from the metric files: `python -m pipeline.render.metrics_page zh`."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from pipeline.metrics.metric import GROUPS, Metric
from pipeline.metrics.registry import metrics
from pipeline.render.language import CODES, ENGLISH, Language

_EXAMPLE = """\
```
streamgauge metrics run active_users_daily --from 2026-11-01 --to 2026-11-30
curl "$C/?database=streamgauge" --data-binary \\
    "SELECT * FROM active_users_daily(from = '2026-11-01', to = '2026-11-30')"
```"""


def markdown(t: Language) -> str:
    """The page in a language."""
    found = metrics().values()
    lines = [*_head(t), "", f"| {t('group')} | {t('metrics')} |", "| --- | --- |"]
    for group, title in GROUPS.items():
        links = t(", ").join(f"[{m.name}](#{m.name})" for m in found if m.group == group)
        if links:
            lines.append(f"| {t.of('group', title)} | {links} |")
    for group, title in GROUPS.items():
        within = [m for m in found if m.group == group]
        if within:
            lines += ["", f"## {t.of('group', title)}"]
        for metric in within:
            lines += ["", *_section(t, metric)]
    return "\n".join(lines) + "\n"


def _head(t: Language) -> Iterator[str]:
    pages = "" if t.code == ENGLISH else "../"
    others = [
        f"[{Language(code).name}]({pages if code == ENGLISH else f'{pages}{code}/'}metrics.md)"
        for code in CODES
        if code != t.code
    ]
    yield from (f"# {t.of('title', 'Metrics')}", "", " · ".join(others), "")
    yield t("Generated from `sql/metrics` by `make docs`; change the files, not this page.")
    yield t("Each metric is a ClickHouse view of its name, made by `streamgauge migrate`:")
    yield from ("", _EXAMPLE, "", t("What holds for all of them:"), "")
    meanings = f"{pages}plan.md#meanings"
    for point in (
        t("Days are those of the plan's time zone, and `from` and `to` are both within the period."),
        t(
            "Which events are registrations, payments, invitations and so on is said by the plan's [meanings]({page}). "
            "What the plan doesn't name is empty, not an error.",
            page=meanings,
        ),
        t("Late events count: they happened. Live windows leave them out."),
        t("A rate of nothing is NULL, not 0."),
        t("All streams are read: events that were sent again under another `PIPELINE_STREAM` count again."),
        t(
            "In SQL every parameter must be given. On the command line and in Python those left out have the defaults "
            "below."
        ),
    ):
        yield f"- {point}"


def _section(t: Language, metric: Metric) -> list[str]:
    lines = [
        f"### {metric.name}",
        "",
        t(
            "**{title}**. {definition}",
            title=t.of("metric", metric.title),
            definition=t.of("metric", metric.definition),
        ),
        "",
        f"- {t('Formula: ')}{t.of('metric', metric.formula)}",
        f"- {t('Grain: ')}{t.of('metric', metric.grain)}",
        f"- {t('What people get wrong: ')}{t.of('metric', metric.mistakes)}",
        f"- {t('Example: ')}`{metric.example}`",
    ]
    if metric.parameters:
        heads = (t("parameter"), t("type"), t("default"), t.of("parameter", "meaning"))
        lines += ["", f"| {' | '.join(heads)} |", "| --- | --- | --- | --- |"]
    for p in metric.parameters:
        choices = t(" (one of {choices})", choices=", ".join(p.choices)) if p.choices else ""
        lines.append(f"| `{p.name}` | {p.type} | {p.default} | {t.of('metric', p.meaning)}{choices} |")
    return lines


if __name__ == "__main__":
    print(markdown(Language(sys.argv[1])), end="")
