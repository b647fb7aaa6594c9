"""What `streamgauge metrics` prints: the catalogue, what one metric means, a result."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from rich import box
from rich.table import Table as RichTable

from pipeline.metrics.metric import GROUPS, Metric
from pipeline.metrics.registry import metric as find
from pipeline.metrics.registry import metrics
from pipeline.metrics.run import Table, is_number
from pipeline.render.language import ENGLISH, Language
from pipeline.terminal import cell, console, padded, print_json, say, say_lines


def list_metrics(t: Language, as_json: bool) -> None:
    """Print the metrics by group."""
    if as_json:
        print_json([{"name": m.name, "group": m.group, "title": t.of("metric", m.title)} for m in metrics().values()])
        return
    for group, title in GROUPS.items():
        say(t.of("group", title))
        for metric in metrics().values():
            if metric.group == group:
                say(f"  {metric.name:<28} {t.of('metric', metric.title)}")


def show_metric(t: Language, name: str, database: str, as_json: bool) -> None:
    """Print a metric's definition and its SQL. Raises UserError."""
    metric = find(name)
    sql = metric.sql.replace("{database}", database)
    texts = {
        "title": metric.title, "definition": metric.definition, "formula": metric.formula,
        "grain": metric.grain, "mistakes": metric.mistakes,
    }  # fmt: skip
    said = {name: t.of("metric", text) for name, text in texts.items()}
    if as_json:
        parameters = [{**vars(p), "meaning": t.of("metric", p.meaning)} for p in metric.parameters]
        print_json({**vars(metric), **said, "parameters": parameters, "chart": vars(metric.chart), "sql": sql})
        return
    say_lines([f"{metric.name}: {said['title']}", ""])
    rows = [
        (t("definition"), said["definition"]), (t("formula"), said["formula"]), (t("grain"), said["grain"]),
        (t("mistakes"), said["mistakes"]), (t("example"), metric.example),
    ]  # fmt: skip
    for i, p in enumerate(metric.parameters):
        choices = t(" (one of {choices})", choices=", ".join(p.choices)) if p.choices else ""
        told = t("--{name} {type}, default {default}{choices}: {meaning}", name=p.name, type=p.type, default=p.default,
                 choices=choices, meaning=t.of("metric", p.meaning))  # fmt: skip
        rows.append(("" if i else t("parameters"), told))
    for label, text in rows:
        say(f"{padded(label, 12)}{text}")
    say_lines(["", *sql.split("\n")])


def print_table(t: Language, metric: Metric, table: Table, arguments: Mapping[str, Any], where: str, day: date) -> None:
    """A result for a person, and `where` it comes from; `day` is the one that is not over."""
    shown = RichTable(box=box.SIMPLE_HEAD, title=t.of("metric", metric.title), title_justify="left")
    for name, kind in zip(table.columns, table.types, strict=True):
        # In English as SQL names it: what is seen can be asked for.
        head = name if t.code == ENGLISH else t.of("column", name.replace("_", " "))
        shown.add_column(head, justify="right" if is_number(kind) else "left")
    for row in table.rows:
        shown.add_row(*(cell(_text(value)) for value in row))
    console().print(shown)
    said = ", ".join(f"{name} = {value}" for name, value in arguments.items())
    more = t("; there are more: --rows") if table.truncated else ""
    say(t("{rows} rows{more}  {said}", rows=f"{len(table.rows):,}", more=more, said=said))
    if any(arguments[name] >= day for name in ("to", "until") if name in arguments):
        say(t("today is not over: its figures are those so far"))
    say(t("from {where}", where=where))


def _text(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.4f}".rstrip("0").rstrip(".")
    if type(value).__name__ == "Decimal":
        text = f"{value:,f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    if isinstance(value, list | tuple):
        return " → ".join(map(_text, value))
    return str(value)
