"""The answer of a trend: lines, what the whole period comes to, and the periods."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from pipeline.dashboard.annotated import marks
from pipeline.dashboard.answers import Answered, Axis, Grid, GridItem, ask, axis_of, people_address, period_item, word
from pipeline.dashboard.bar import field_name, filter_words
from pipeline.dashboard.comparing import compared, compared_words
from pipeline.dashboard.context import Context
from pipeline.explore.formula import LETTERS, is_percent
from pipeline.explore.question import COUNTED, MEASURES, Cell, Trend, TrendSeries
from pipeline.explore.scope import first_day, period_number
from pipeline.explore.trend import trend_sql
from pipeline.explore.trend_answer import Period, TrendTable, Values, at_of, periods_of, read_trend
from pipeline.render.chart import MAX_LINES, Line
from pipeline.render.figure import figure
from pipeline.render.html import Safe, text
from pipeline.render.language import Language
from pipeline.render.vega import lines as line_chart


async def answer_trend(context: Context, trend: Trend) -> Answered:
    """Ask it, and what it is compared with. Raises UserError, StoreError."""
    t, other = context.t, compared(context, trend)
    queries = [(t("The question"), trend_sql(trend, context.plan))]
    if isinstance(other, Trend):
        queries.append((compared_words(context, trend), trend_sql(other, context.plan)))
    answers = await asyncio.gather(*(ask(context, sql) for _, sql in queries))
    mine, than = [read_trend(trend, answer.rows) for answer in answers], None
    found = mine[0]
    if isinstance(other, Trend):
        than = _Against(other, mine[1], compared_words(context, trend))
    if not found.found and (than is None or trend.by or not than.table.found):
        return Answered(None, [], queries, empty=True)
    drawer = _Drawer(context, trend, found, than)
    notes = []
    if found.many > len(found.values):
        notes.append(t("The {values} largest of {many} values.", values=len(found.values), many=t.number(found.many)))  # fmt: skip
    if than is not None and than.question.scope.until is not None:
        notes.append(t("The days compared with are seen up to the same time of day."))
    chart, axis, more = drawer.chart()
    return Answered(chart, [drawer.totals(), drawer.periods()], queries, [*notes, *more], file=1, axis=axis)


@dataclass(frozen=True)
class _Against:
    """What it is compared with, and how that is called."""

    question: Trend
    table: TrendTable
    name: str


def series_name(t: Language, one: TrendSeries) -> str:
    """What a series counts, in words."""
    names = t(" or ").join(one.events.names) or t("any event")
    where = t(", ").join(filter_words(t, condition) for condition in one.events.where)
    names = f"{names} ({where})" if where else names
    measure = t.of("measure", MEASURES[one.measure])
    if one.measure in COUNTED:
        return t("{names}: {measure}", names=names, measure=measure)
    of = field_name(t, one.property) if one.property != "value" else t.of("amount", "value")
    return t("{names}: {measure} {of}", names=names, measure=measure, of=of)


@dataclass(frozen=True)
class _Drawer:
    """Lays the answer out."""

    context: Context
    trend: Trend
    table: TrendTable
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

    def item(self, values: Values, period: Period | None, n: int) -> GridItem:
        """A number of the table, with who is behind it."""
        value = self.table.number(self.trend, values, period, n)
        shown = self.form(n)(value)
        if n >= len(self.trend.series):
            return GridItem(value, shown)
        return GridItem(_whole(value), shown, people_address(self.context, self.trend, Cell(n, at_of(period), values)))

    def named(self, values: Values) -> list[GridItem]:
        """The values of the breakdown."""
        return [word(value, self.context.t("(not given)")) for value in values]

    def chart(self) -> tuple[Safe, Axis, list[str]]:
        """Lines of the largest values; the running period is not drawn."""
        context, t = self.context, self.context.t
        periods = periods_of(self.trend, context.plan.zone)
        over = [k for k, period in enumerate(periods) if not self.running(period)]
        lines = []
        for values in self.table.values or [()]:
            for n, name in self.drawn:
                label = " · ".join([*(item.written for item in self.named(values)), *([name] if self.several else [])])
                lines.append(Line(label or name, [self.table.number(self.trend, values, periods[k], n) for k in over]))
                if self.than is not None:
                    others = periods_of(self.than.question, context.plan.zone)
                    numbers = [
                        self.than.table.number(self.trend, values, others[k], n) if k < len(others) else None
                        for k in over
                    ]
                    lines.append(Line(f"{label or name} · {self.than.name}", numbers))
        places = [period_item(context, periods[k]).written for k in over]
        if self.trend.grain != "hour":
            places = [t.day(periods[k]) for k in over]
        drawn = lines[:MAX_LINES]
        first = (self.table.values or [()])[0]
        shown = over if context.settings.dashboard_people else []
        addresses = [people_address(self.context, self.trend, Cell(0, at_of(periods[k]), first)) for k in shown]
        shown_links = [address or "" for address in addresses] if addresses and addresses[0] else []
        happened = marks(context, [periods[k] for k in over])
        axis = axis_of(context, drawn)
        chart = line_chart(
            t("Answer"), places, drawn, self.form(self.drawn[0][0]), links=shown_links,
            annotations=happened.drawn, log=axis.chosen,
        )  # fmt: skip
        notes = []
        if len(over) < len(periods):
            notes.append(t("The running period is not over and not drawn."))
        if len(lines) > MAX_LINES:
            notes.append(t("The first {max_lines} lines are drawn.", max_lines=MAX_LINES))
        return text(figure(t, chart), happened.words), axis, notes

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
                found += [self.than.name, t("change")]
        return found

    def row(self, values: Values, period: Period | None, before: Period | None) -> Iterator[GridItem]:
        """The numbers of a row."""
        t = self.context.t
        for n in range(len(self.names)):
            mine = self.item(values, period, n)
            yield mine
            if self.than is not None:
                other = self.than.table.number(self.trend, values, before, n)
                yield GridItem(_whole(other), self.form(n)(other))
                change = None if mine.value is None or not other else float(mine.value) / other - 1
                yield GridItem(change, t.change(change))

    def totals(self) -> Grid:
        """All periods together, by value. People of all days are counted once."""
        rows = [[*self.named(values), *self.row(values, None, None)] for values in self.table.values]
        title = self.context.t("All days together")
        heads = self.heads()
        return Grid(title, heads, rows, range(len(self.trend.by), len(heads)))

    def periods(self) -> Grid:
        """One row a value and period."""
        context, heads = self.context, self.heads(self.context.t("Period"))
        periods = periods_of(self.trend, context.plan.zone)
        others = periods_of(self.than.question, context.plan.zone) if self.than is not None else []
        rows = []
        for values in self.table.values or [()]:
            for k, period in enumerate(periods):
                before = others[k] if k < len(others) else None
                if self.trend.by and (values, period) not in self.table.found:
                    continue
                rows.append(
                    [period_item(context, period), *self.named(values), *self.row(values, period, before or date.min)]
                )
        title = context.t("By period")
        return Grid(title, heads, rows, range(1 + len(self.trend.by), len(heads)))


def _whole(value: float | None) -> float | int | None:
    return int(value) if value is not None and value == int(value) else value
