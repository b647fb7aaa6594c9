"""The answer of a trend: lines, what the whole period comes to, and the periods."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from pipeline.dashboard.answers import Answered, Grid, GridItem, ask, people_address, period_item, word
from pipeline.dashboard.bar import field_name, filter_words
from pipeline.dashboard.comparing import compared, compared_words
from pipeline.dashboard.context import Context
from pipeline.dashboard.pages.builders import MEASURES
from pipeline.explore.formula import LETTERS, is_percent
from pipeline.explore.question import COUNTED, Cell, Trend, TrendSeries
from pipeline.explore.scope import first_day, period_number
from pipeline.explore.trend import trend_sql
from pipeline.measure.periods import day_start
from pipeline.render.chart import MAX_LINES, Line
from pipeline.render.figure import figure
from pipeline.render.html import Safe
from pipeline.render.language import Language
from pipeline.render.vega import lines as line_chart
from schemas.duration import HOUR

Period = date | datetime
Values = tuple[str, ...]
#: Values of a period: of the series, then of the formulas; None for a measure of nothing.
Numbers = tuple[float | None, ...]
_COUNTS: Final = ("count", "people", "sessions", "sum")


@dataclass(frozen=True)
class _Table:
    """What ClickHouse answered: by values and period, None for all of them."""

    found: dict[tuple[Values, Period | None], Numbers]
    #: The values of the breakdown, the largest first, and how many there are.
    values: list[Values]
    many: int


async def answer_trend(context: Context, trend: Trend) -> Answered:
    """Ask it, and what it is compared with. Raises UserError, StoreError."""
    t, other = context.t, compared(context, trend)
    queries = [(t("The question", "本期"), trend_sql(trend, context.plan))]
    if isinstance(other, Trend):
        queries.append((compared_words(context, trend), trend_sql(other, context.plan)))
    answers = await asyncio.gather(*(ask(context, sql) for _, sql in queries))
    mine, than = [_read(trend, answer.rows) for answer in answers], None
    found = mine[0]
    if isinstance(other, Trend):
        than = _Against(other, mine[1], compared_words(context, trend))
    if not found.found and (than is None or trend.by or not than.table.found):
        return Answered(None, [], queries, empty=True)
    drawer = _Drawer(context, trend, found, than)
    notes = []
    if found.many > len(found.values):
        notes.append(t(f"The {len(found.values)} largest of {t.number(found.many)} values.",
                       f"共 {t.number(found.many)} 个值，仅列出最大的 {len(found.values)} 个。"))  # fmt: skip
    if than is not None and than.question.scope.until is not None:
        notes.append(t("The days compared with are seen up to the same time of day.", "对比期只计到相同时刻。"))
    chart, more = drawer.chart()
    return Answered(chart, [drawer.totals(), drawer.periods()], queries, [*notes, *more], file=1)


@dataclass(frozen=True)
class _Against:
    """What it is compared with, and how that is called."""

    question: Trend
    table: _Table
    name: str


def _read(trend: Trend, rows: Sequence[Sequence[Any]]) -> _Table:
    depth, count = len(trend.by), len(trend.series) + len(trend.formulas)
    found: dict[tuple[Values, Period | None], Numbers] = {}
    values: dict[Values, None] = {}
    for row in rows:
        own = tuple(map(str, row[2 : 2 + depth]))
        values[own] = None
        numbers = tuple(None if n is None else float(n) for n in row[2 + depth : 2 + depth + count])
        found[own, None if row[0] else _period(row[1])] = numbers
    # Without a breakdown there is a row for all even where there is no event.
    if depth == 0 and len(found) < 2:
        return _Table({}, [], 0)
    return _Table(found, list(values), int(rows[0][-1]) if rows else 0)


def _period(value: Any) -> Period:
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    assert isinstance(value, date)
    return value


def periods_of(context: Context, trend: Trend) -> list[Period]:
    """All periods of the scope, those without events too."""
    scope = trend.scope
    if trend.grain == "hour":
        begin, end = (day_start(day, context.plan.zone) for day in (scope.first, scope.last + timedelta(days=1)))
        return [datetime.fromtimestamp(at / 1000, UTC) for at in range(begin, end, HOUR)]
    first, last = (period_number(trend.grain, day, monday=trend.monday) for day in (scope.first, scope.last))
    return [first_day(trend.grain, number, monday=trend.monday) for number in range(first, last + 1)]


def series_name(t: Language, one: TrendSeries) -> str:
    """What a series counts, in words."""
    names = t(" or ", "或").join(one.events.names) or t("any event", "任意事件")
    where = t(", ", "，").join(filter_words(t, condition) for condition in one.events.where)
    names = f"{names} ({where})" if where else names
    measure = t(*MEASURES[one.measure])
    if one.measure in COUNTED:
        return f"{names}: {measure}" if t.code == "en" else f"{names} · {measure}"
    of = field_name(t, one.property) if one.property != "value" else t("value", "金额")
    return f"{names}: {measure} {of}" if t.code == "en" else f"{names} · {of}{measure}"


@dataclass(frozen=True)
class _Drawer:
    """Lays the answer out."""

    context: Context
    trend: Trend
    table: _Table
    than: _Against | None

    @property
    def names(self) -> list[str]:
        """Of the series and the formulas; a letter before them where there are several."""
        t, several = self.context.t, len(self.trend.series) + len(self.trend.formulas) > 1
        series = [
            f"{letter} {series_name(t, one)}" if several else series_name(t, one)
            for letter, one in zip(LETTERS, self.trend.series, strict=False)
        ]
        return [*series, *self.trend.formulas]

    def form(self, n: int) -> Callable[[float | None], str]:
        """How the numbers of a column are written."""
        t = self.context.t
        if n >= len(self.trend.series):
            if is_percent(self.trend.formulas[n - len(self.trend.series)]):
                return t.percent
            return lambda value: t.number(value, 0 if value is not None and value == round(value) else 2)
        measure = self.trend.series[n].measure
        if measure in ("count", "people", "sessions"):
            return t.number
        return lambda value: t.number(value, 2)

    def number(self, table: _Table, values: Values, period: Period | None, n: int) -> float | None:
        """A number; what there is none of is 0 where things are counted, and nothing where they are not."""
        found = table.found.get((values, period))
        if found is not None:
            return found[n]
        return 0.0 if n < len(self.trend.series) and self.trend.series[n].measure in _COUNTS else None

    def item(self, values: Values, period: Period | None, n: int) -> GridItem:
        """A number of the table, with who is behind it."""
        value = self.number(self.table, values, period, n)
        shown = self.form(n)(value)
        if n >= len(self.trend.series):
            return GridItem(value, shown)
        return GridItem(_whole(value), shown, people_address(self.context, self.trend, Cell(n, _at(period), values)))

    def named(self, values: Values) -> list[GridItem]:
        """The values of the breakdown."""
        return [word(value, self.context.t("(not given)", "（未提供）")) for value in values]

    def chart(self) -> tuple[Safe, list[str]]:
        """Lines of the largest values; the running period is not drawn."""
        context, t = self.context, self.context.t
        periods = periods_of(context, self.trend)
        over = [k for k, period in enumerate(periods) if not self.running(period)]
        lines = []
        for values in self.table.values or [()]:
            for n, name in self.drawn:
                label = " · ".join([*(item.written for item in self.named(values)), *([name] if self.several else [])])
                lines.append(Line(label or name, [self.number(self.table, values, periods[k], n) for k in over]))
                if self.than is not None:
                    others = periods_of(context, self.than.question)
                    numbers = [
                        self.number(self.than.table, values, others[k], n) if k < len(others) else None for k in over
                    ]
                    lines.append(Line(f"{label or name} · {self.than.name}", numbers))
        places = [period_item(context, periods[k]).written for k in over]
        if self.trend.grain != "hour":
            places = [t.day(periods[k]) for k in over]
        drawn = lines[:MAX_LINES]
        first = (self.table.values or [()])[0]
        shown = over if context.settings.dashboard_people else []
        addresses = [people_address(self.context, self.trend, Cell(0, _at(periods[k]), first)) for k in shown]
        shown_links = [address or "" for address in addresses] if addresses and addresses[0] else []
        chart = line_chart(t("Answer", "结果"), places, drawn, self.form(self.drawn[0][0]), links=shown_links)
        notes = []
        if len(over) < len(periods):
            notes.append(t("The running period is not over and not drawn.", "当前周期尚未结束，图中不绘制。"))
        if len(lines) > MAX_LINES:
            notes.append(t(f"The first {MAX_LINES} lines are drawn.", f"图中只绘制前 {MAX_LINES} 条线。"))
        return figure(t, chart), notes

    @property
    def drawn(self) -> list[tuple[int, str]]:
        """Which numbers are drawn: the formulas, where there are any."""
        found = list(enumerate(self.names))
        return found[len(self.trend.series) :] or found

    @property
    def several(self) -> bool:
        """Whether lines have to say what they count."""
        return len(self.drawn) > 1 or not self.trend.by

    def running(self, period: Period) -> bool:
        """Whether a period is not over."""
        if isinstance(period, datetime):
            return (period + timedelta(hours=1)).timestamp() * 1000 > self.context.now
        number = period_number(self.trend.grain, period, monday=self.trend.monday) + 1
        return first_day(self.trend.grain, number, monday=self.trend.monday) > self.context.today

    def heads(self, *first: str) -> list[str]:
        """Columns: of each number also what it is compared with, and how it has changed."""
        t, found = self.context.t, [*first, *(field_name(self.context.t, field) for field in self.trend.by)]
        for name in self.names:
            found.append(name)
            if self.than is not None:
                found += [self.than.name, t("change", "变化")]
        return found

    def row(self, values: Values, period: Period | None, before: Period | None) -> Iterator[GridItem]:
        """The numbers of a row."""
        t = self.context.t
        for n in range(len(self.names)):
            mine = self.item(values, period, n)
            yield mine
            if self.than is not None:
                other = self.number(self.than.table, values, before, n)
                yield GridItem(_whole(other), self.form(n)(other))
                change = None if mine.value is None or not other else float(mine.value) / other - 1
                yield GridItem(change, t.change(change))

    def totals(self) -> Grid:
        """All periods together, by value. People of all days are counted once."""
        rows = [[*self.named(values), *self.row(values, None, None)] for values in self.table.values]
        title = self.context.t("All days together", "全部日期合计")
        heads = self.heads()
        return Grid(title, heads, rows, range(len(self.trend.by), len(heads)))

    def periods(self) -> Grid:
        """One row a value and period."""
        context, heads = self.context, self.heads(self.context.t("Period", "周期"))
        periods = periods_of(context, self.trend)
        others = periods_of(context, self.than.question) if self.than is not None else []
        rows = []
        for values in self.table.values or [()]:
            for k, period in enumerate(periods):
                before = others[k] if k < len(others) else None
                if self.trend.by and (values, period) not in self.table.found:
                    continue
                rows.append(
                    [period_item(context, period), *self.named(values), *self.row(values, period, before or date.min)]
                )
        title = context.t("By period", "按周期")
        return Grid(title, heads, rows, range(1 + len(self.trend.by), len(heads)))


def _at(period: Period | None) -> str:
    """A period as the address of a cell has it."""
    if period is None:
        return ""
    return str(int(period.timestamp())) if isinstance(period, datetime) else period.isoformat()


def _whole(value: float | None) -> float | int | None:
    return int(value) if value is not None and value == int(value) else value
