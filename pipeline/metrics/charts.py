"""The chart that suits a metric, as PNG. Needs matplotlib (`pip install 'streamgauge[charts]'`)."""

from __future__ import annotations

import io
from collections.abc import Mapping
from datetime import date
from typing import Any

from pipeline.errors import UserError
from pipeline.metrics.metric import Metric
from pipeline.metrics.run import Table

#: Of a chart with series, the largest ones are drawn.
_MAX_SERIES = 10
_MAX_BARS = 40


def png(metric: Metric, table: Table, arguments: Mapping[str, Any]) -> bytes:
    """Draw a result. Raises UserError if matplotlib is missing, or the metric is a list that no chart suits."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise UserError("png needs matplotlib: pip install 'streamgauge[charts]'") from None
    chart = metric.chart
    if chart.kind == "table":
        raise UserError(f"{metric.name} is a list: no chart suits it; use --format table, csv, json or parquet")
    figure = Figure(figsize=(10, 5), layout="constrained")
    axes = figure.subplots()
    said = ", ".join(f"{name} {value}" for name, value in arguments.items() if value not in ("", []))
    axes.set_title(f"{metric.title}\n{said}", loc="left", fontsize=10)
    if not table.rows:
        axes.text(0.5, 0.5, "no rows", ha="center", va="center", transform=axes.transAxes)
    elif chart.kind == "heatmap":
        _heatmap(figure, axes, metric, table)
    elif chart.kind == "line":
        for label, rows in _series(metric, table):
            for name in chart.y:
                points = [(_place(row[chart.x]), _number(row[name])) for row in rows]
                axes.plot(*zip(*points, strict=True), marker=".", label=_label(label, name, len(chart.y)))
        axes.set_ylim(bottom=min(0, axes.get_ylim()[0]))
        axes.grid(alpha=0.3)
        axes.tick_params(axis="x", rotation=30)
        if chart.series or len(chart.y) > 1:
            axes.legend(fontsize=8)
    else:
        _bars(axes, metric, table)
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=120)
    return out.getvalue()


def _series(metric: Metric, table: Table) -> list[tuple[str, list[dict[str, Any]]]]:
    """The rows by the value of the series column, the largest first; all of them if there is none."""
    if not metric.chart.series:
        return [("", table.records())]
    found: dict[str, list[dict[str, Any]]] = {}
    for row in table.records():
        found.setdefault(str(row[metric.chart.series]), []).append(row)
    first = metric.chart.y[0]
    size = {label: sum(_number(row[first]) or 0 for row in rows) for label, rows in found.items()}
    return sorted(found.items(), key=lambda item: -size[item[0]])[:_MAX_SERIES]


def _bars(axes: Any, metric: Metric, table: Table) -> None:
    chart = metric.chart
    rows = table.records()[:_MAX_BARS]
    labels = [_text(row[chart.x]) + (f" · {_text(row[chart.series])}" if chart.series else "") for row in rows]
    height = 0.8 / len(chart.y)
    for i, name in enumerate(chart.y):
        places = [n + i * height for n in range(len(rows))]
        bars = axes.barh(places, [_number(row[name]) or 0 for row in rows], height=height, label=name)
        if len(rows) <= 20:
            axes.bar_label(bars, [_text(row[name]) for row in rows], padding=3, fontsize=8)
    axes.set_yticks([n + 0.4 - height / 2 for n in range(len(rows))], labels, fontsize=8)
    axes.invert_yaxis()
    axes.margins(x=0.1)
    if len(chart.y) > 1:
        axes.legend(fontsize=8)


def _heatmap(figure: Any, axes: Any, metric: Metric, table: Table) -> None:
    chart = metric.chart
    rows = table.records()
    across = sorted({row[chart.x] for row in rows})
    down = sorted({row[chart.y[0]] for row in rows})
    cells = {(row[chart.y[0]], row[chart.x]): _number(row[chart.series]) for row in rows}
    grid = [[_or_nan(cells.get((y, x))) for x in across] for y in down]
    image = axes.imshow(grid, aspect="auto", cmap="YlGn")
    figure.colorbar(image, ax=axes, label=chart.series)
    axes.set_xticks(range(len(across)), [_text(x) for x in across], fontsize=8)
    axes.set_yticks(range(len(down)), [_text(y) for y in down], fontsize=8)
    axes.set_xlabel(chart.x)


def _label(series: str, name: str, several: int) -> str:
    return " · ".join(filter(None, (series, name if several > 1 or not series else "")))


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else value


def _place(value: Any) -> Any:
    return value if isinstance(value, int | float | date) else _text(value)


def _text(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.4g}"
    return " → ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)[:60]
