"""docs/metrics.md, generated from the metric files: `python -m pipeline.metrics.docs > docs/metrics.md`."""

from __future__ import annotations

from pipeline.metrics.metric import GROUPS, Metric
from pipeline.metrics.registry import metrics

_HEAD = """\
# Metrics

Generated from `sql/metrics` by `make docs`; change the files, not this page. Each metric is a ClickHouse view of its
name, made by `streamgauge migrate`:

```
streamgauge metrics run active_users_daily --from 2026-11-01 --to 2026-11-30
curl "$C/?database=streamgauge" --data-binary \\
    "SELECT * FROM active_users_daily(from = '2026-11-01', to = '2026-11-30')"
```

What holds for all of them:

- Days are those of the plan's time zone, and `from` and `to` are both within the period.
- Which events are registrations, payments, invitations and so on is said by the plan's
  [meanings](plan.md#meanings). What the plan doesn't name is empty, not an error.
- Late events count: they happened. Live windows leave them out.
- A rate of nothing is NULL, not 0.
- All streams are read: events that were sent again under another `PIPELINE_STREAM` count again.
- In SQL every parameter must be given. On the command line and in Python those left out have the defaults below.
"""


def markdown() -> str:
    """The page."""
    found = metrics().values()
    lines = [_HEAD, "| group | metrics |", "| --- | --- |"]
    for group, titles in GROUPS.items():
        links = ", ".join(f"[{m.name}](#{m.name})" for m in found if m.group == group)
        if links:
            lines.append(f"| {' '.join(titles.values())} | {links} |")
    for group, titles in GROUPS.items():
        within = [m for m in found if m.group == group]
        if within:
            lines += ["", f"## {' '.join(titles.values())}"]
        for metric in within:
            lines += ["", *_section(metric)]
    return "\n".join(lines) + "\n"


def _section(metric: Metric) -> list[str]:
    lines = [
        f"### {metric.name}",
        "",
        f"**{metric.title}** · {metric.title_zh}. {metric.definition}",
        "",
        metric.definition_zh,
        "",
        f"- Formula: {metric.formula}",
        f"- Grain: {metric.grain}",
        f"- What people get wrong: {metric.mistakes}",
        f"- Example: `{metric.example}`",
    ]
    if metric.parameters:
        lines += ["", "| parameter | type | default | meaning |", "| --- | --- | --- | --- |"]
    for p in metric.parameters:
        choices = f" (one of {', '.join(p.choices)})" if p.choices else ""
        lines.append(f"| `{p.name}` | {p.type} | {p.default} | {p.meaning}{choices} |")
    return lines


if __name__ == "__main__":
    print(markdown(), end="")
