"""What `streamgauge metrics list` and `show` print: the catalogue, without a database."""

from __future__ import annotations

from pipeline.metrics.metric import GROUPS
from pipeline.metrics.registry import metric as find
from pipeline.metrics.registry import metrics
from pipeline.terminal import print_json, say, say_lines


def list_metrics(as_json: bool) -> None:
    """Print the metrics by group."""
    if as_json:
        print_json([{"name": m.name, "group": m.group, "title": m.title} for m in metrics().values()])
        return
    for group, titles in GROUPS.items():
        say(f"{' '.join(titles.values())}")
        for metric in metrics().values():
            if metric.group == group:
                say(f"  {metric.name:<28} {metric.title}")


def show_metric(name: str, database: str, as_json: bool) -> None:
    """Print a metric's definition and its SQL."""
    metric = find(name)
    sql = metric.sql.replace("{database}", database)
    if as_json:
        print_json({**vars(metric), "parameters": [vars(p) for p in metric.parameters],
                          "chart": vars(metric.chart), "sql": sql})  # fmt: skip
        return
    say_lines([f"{metric.name}: {metric.title} · {metric.title_zh}", ""])
    for label, text in (
        ("definition", metric.definition), ("", metric.definition_zh), ("formula", metric.formula),
        ("grain", metric.grain), ("mistakes", metric.mistakes), ("example", metric.example),
    ):  # fmt: skip
        say(f"{label:<12}{text}")
    for i, p in enumerate(metric.parameters):
        choices = f" (one of {', '.join(p.choices)})" if p.choices else ""
        say(f"{'' if i else 'parameters':<12}--{p.name} {p.type}, default {p.default}{choices}: {p.meaning}")
    say_lines(["", *sql.split("\n")])
