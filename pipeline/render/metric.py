"""A metric of the catalogue as a chart and as a table, in either language. Pure: its result in, HTML out."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from pipeline.metrics.metric import Metric
from pipeline.metrics.run import Table, is_number
from pipeline.render.chart import MAX_LINES, Line
from pipeline.render.columns import unit_of
from pipeline.render.figure import figure
from pipeline.render.html import Safe, h, text
from pipeline.render.language import NONE, Language
from pipeline.render.tables import table as draw_table
from pipeline.render.vega import Annotation, Chart, bars, heat, lines, spans_decades

#: The annotations of a chart's places, which are begins of days where the axis is one of time.
Happened = Callable[[Sequence[Any]], Sequence[Annotation]]
#: Rows of a table and bars of a chart that are shown; the download has them all.
TABLE_ROWS: Final = 200
_BARS: Final = 25
#: What the catalogue itself writes into a column, and what people read for it.
VALUES: Final[dict[str, dict[str, str]]] = {
    "segment": {
        "new": "new", "active": "active", "high_value": "high value", "at_risk": "at risk", "churned": "churned",
        "champions": "champions", "loyal": "loyal", "promising": "promising", "need attention": "need attention",
        "can not lose": "can not lose", "at risk": "at risk", "hibernating": "hibernating",
    },
    "within": {one: one for one in ("1 hour", "1 day", "3 days", "7 days", "later", "not yet")},
    "age": {
        one: one for one in ("0 to 1 day", "1 to 3 days", "3 to 7 days", "7 to 30 days", "over 30 days", "unknown")
    },
    "name": {"all steps": "all steps"},
}  # fmt: skip
_BRACKET: Final = re.compile(r"days ([0-9]+) to ([0-9]+)")


def column_name(t: Language, name: str) -> str:
    """What stands over a column."""
    return t.of("column", name.replace("_", " "))


def cell(t: Language, name: str, value: Any) -> str:
    """One value, written as its column wants it."""
    if value is None:
        return NONE
    if isinstance(value, bool):
        return t("yes") if value else t("no")
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, list | tuple):
        return " → ".join(cell(t, "", item) for item in value)
    if isinstance(value, int | float | Decimal):
        return number_form(t, name, value)(float(value))
    if (text := VALUES.get(name, {}).get(value)) is not None:
        return t.of(name, text)
    if name == "bracket" and (found := _BRACKET.fullmatch(value)) is not None:
        return t("days {first} to {last}", first=found[1], last=found[2])
    return str(value)


def number_form(t: Language, name: str, sample: Any = None) -> Callable[[float | None], str]:
    """How numbers of a column are written: shares as percent, amounts with two digits, times as durations."""
    match unit_of(name, sample):
        case "share":
            return t.percent
        case "milliseconds":
            return t.duration
        case "seconds":
            return lambda v: t.duration(None if v is None else v * 1000)
        case "money":
            return t.money
        case "count":
            return t.number
    return lambda v: t.number(v, _digits(v))


def _digits(value: float | None) -> int:
    """As many digits as say something: p-values and factors need more than counts."""
    if value is None or value == round(value) or abs(value) >= 1000:
        return 0
    return 2 if abs(value) >= 1 else 4 if abs(value) < 0.1 else 3


def metric_title(t: Language, metric: Metric) -> str:
    """The metric's name in the language."""
    return t.of("metric", metric.title)


def definition(t: Language, metric: Metric) -> str:
    """What a hover over the metric says."""
    formula, mistakes = t.of("metric", metric.formula), t.of("metric", metric.mistakes)
    return f"{t.of('metric', metric.definition)}\n{t('Formula: ')}{formula}\n{t('Mind: ')}{mistakes}"


def metric_table(
    t: Language,
    metric: Metric,
    table: Table,
    most: int = TABLE_ROWS,
    links: Mapping[str, Callable[[str], Safe]] | None = None,
    people: Callable[[str, Mapping[str, Any]], str] | None = None,
) -> Safe:
    """The rows, at most `most`. `links` draw the texts of a column otherwise than as words. `people` gives for a column and
    a row the address of the people behind the number, "" without any."""
    links = links or {}

    def shown(name: str, value: Any, row: Sequence[Any]) -> Safe | str:
        if name in links and isinstance(value, str) and value:
            return links[name](value)
        written = cell(t, name, value)
        address = people(name, dict(zip(table.columns, row, strict=True))) if people is not None and value else ""
        return h("a", written, href=address) if address else written

    numeric = [k for k, kind in enumerate(table.types) if is_number(kind)]
    days = [k for k, kind in enumerate(table.types) if "Date" in kind and k not in numeric]
    shown_rows = [
        [shown(name, value, row) for name, value in zip(table.columns, row, strict=True)] for row in table.rows[:most]
    ]
    left = len(table.rows) - most
    more = t("and {left} more rows, in the download", left=t.number(left)) if left > 0 else None
    if table.truncated:  # nobody has counted them
        more = t("and more rows, in the download")
    return text(
        draw_table(
            [column_name(t, name) for name in table.columns],
            shown_rows,
            label=metric_title(t, metric),
            numeric=numeric,
            whole=days,
        ),
        h("p", more, class_="note") if more else None,
    )


@dataclass(frozen=True)
class Drawing:
    """A metric as a picture, for the page and the file alike."""

    chart: Chart
    note: str = ""
    #: Whether a logarithmic axis would show more.
    decades: bool = False


def drawing(
    t: Language,
    metric: Metric,
    table: Table,
    today: date | None = None,
    happened: Happened | None = None,
    *,
    log: bool = False,
) -> Drawing | None:
    """The picture that suits the metric; None for a list, or without rows. `happened` are annotations of its places.

    `log`: on a logarithmic axis, where the values span decades and all are above zero.

    Of periods that are not over at the begin of `today` (in the plan's zone), and of those that the metric says are not
    whole, nothing is drawn: half a day beside whole ones looks like a fall.
    """
    kind = metric.chart.kind
    if kind == "table" or not table.rows:
        return None
    whole = _whole(metric, table, today)
    left = len(table.rows) - len(whole.rows)
    said = t("Periods that are not over are not drawn.") if left else ""
    if not whole.rows:
        return None
    if kind == "line":
        found = _lines(t, metric, whole, happened, log)
    elif kind == "heatmap":
        found = _heat(t, metric, whole)
    else:
        found = _bar_sets(t, metric, whole)
    return replace(found, note=" ".join(filter(None, (found.note, said))))


def in_page(t: Language, made: Drawing) -> Safe:
    """The picture, for a page."""
    return text(figure(t, made.chart), h("p", made.note, class_="note") if made.note else None)


def _whole(metric: Metric, table: Table, today: date | None) -> Table:
    """The rows of periods that are over."""
    rows: Sequence[tuple[Any, ...]] = table.rows
    if "whole" in table.columns and metric.chart.kind != "heatmap":
        at = table.columns.index("whole")
        rows = [row for row in rows if row[at]]
    if today is not None and metric.chart.x in table.columns:
        at = table.columns.index(metric.chart.x)
        rows = [row for row in rows if not (type(row[at]) is date and row[at] >= today)]
    return replace(table, rows=rows)


def by_series(metric: Metric, table: Table) -> dict[str, list[dict[str, Any]]]:
    """The rows by the value of the series column, the largest first; one group if there is no such column."""
    if not metric.chart.series:
        return {"": table.records()}
    found: dict[str, list[dict[str, Any]]] = {}
    for row in table.records():
        found.setdefault(_plain(row[metric.chart.series]), []).append(row)
    measure = metric.chart.y[0]
    size = {label: abs(sum(float(row[measure] or 0) for row in rows)) for label, rows in found.items()}
    return dict(sorted(found.items(), key=lambda item: -size[item[0]]))


def _lines(t: Language, metric: Metric, table: Table, happened: Happened | None, log: bool) -> Drawing:
    chart = metric.chart
    groups = by_series(metric, table)
    places: list[Any] = sorted({row[chart.x] for row in table.records()})
    found = []
    for label, rows in list(groups.items())[:MAX_LINES]:
        for name in chart.y:
            known = _at(rows, chart.x, name)
            shown = " · ".join(filter(None, (label, column_name(t, name) if len(chart.y) > 1 or not label else "")))
            found.append(Line(shown, [None if known.get(p) is None else float(known[p]) for p in places]))
    form = number_form(t, chart.y[0], _sample(table, chart.y[0]))
    names = [_place(t, p) for p in places]
    decades, said = spans_decades(found), happened(places) if happened else ()
    made = lines(metric_title(t, metric), names, found, form, annotations=said, log=log and decades)
    hidden = len(groups) * len(chart.y) - len(made.names)
    note = t("the {max_lines} largest are drawn, {hidden} more are in the table", max_lines=MAX_LINES, hidden=hidden)
    return Drawing(made, note if hidden > 0 else "", decades)


def _at(rows: Sequence[dict[str, Any]], x: str, name: str) -> dict[Any, Any]:
    """The values by place. Rows that a further column parts (a channel's campaigns) are added up if they are counts."""
    found: dict[Any, Any] = {}
    for row in rows:
        value = row[name]
        if row[x] in found and isinstance(value, int | Decimal) and found[row[x]] is not None:
            value += found[row[x]]
        found[row[x]] = value
    return found


def _bar_sets(t: Language, metric: Metric, table: Table) -> Drawing:
    chart = metric.chart
    records = table.records()[:_BARS]
    names = [_label(t, chart, row) for row in records]
    sets = [(column_name(t, y), [None if row[y] is None else float(row[y]) for row in records]) for y in chart.y]
    form = number_form(t, chart.y[0], _sample(table, chart.y[0]))
    return Drawing(bars(metric_title(t, metric), names, sets, form))


def _heat(t: Language, metric: Metric, table: Table) -> Drawing:
    chart = metric.chart
    records = table.records()
    across: list[Any] = sorted({row[chart.x] for row in records})
    down: list[Any] = sorted({row[chart.y[0]] for row in records})
    cells = {
        (down.index(row[chart.y[0]]), across.index(row[chart.x])): float(row[chart.series])
        for row in records if row[chart.series] is not None
    }  # fmt: skip
    sizes: Sequence[str] = ()
    if "users" in table.columns and chart.series != "users":
        by_row = {row[chart.y[0]]: row["users"] for row in records}
        sizes = [t.number(by_row[name]) for name in down]
    # The first period of a cohort is everybody: it would make all else pale.
    later = [v for (_, column), v in cells.items() if column > 0] if across and across[0] == 0 else list(cells.values())
    made = heat(
        metric_title(t, metric), [_place(t, p) for p in across], [_place(t, p) for p in down], cells,
        _short(number_form(t, chart.series, _sample(table, chart.series)), t, chart.series), top=max(later, default=1) or 1,
        before=sizes, before_title=column_name(t, "users"),
    )  # fmt: skip
    return Drawing(made)


def _short(form: Callable[[float | None], str], t: Language, name: str) -> Callable[[float | None], str]:
    return (lambda v: t.percent(v, 0)) if form == t.percent else form


def _label(t: Language, chart: Any, row: dict[str, Any]) -> str:
    parts = [cell(t, chart.x, row[chart.x]) or t("(not given)")]
    if chart.series and row.get(chart.series) not in (None, ""):
        parts.append(cell(t, chart.series, row[chart.series]))
    return " · ".join(parts)


def _sample(table: Table, name: str) -> Any:
    return next((v for v in table.column(name) if v is not None), None)


def _place(t: Language, value: Any) -> str:
    return t.day(value) if isinstance(value, date) and not isinstance(value, datetime) else cell(t, "", value)


def _plain(value: Any) -> str:
    return "" if value is None else str(value)
