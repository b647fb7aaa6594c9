"""The report as one HTML file: everything in it, nothing loaded from anywhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from functools import partial
from importlib.resources import files
from typing import Any, Protocol

from pipeline.insight.model import FunnelFacts
from pipeline.insight.sentences import worst
from pipeline.insight.verdicts import campaign_verdict, experiment_verdict, interval
from pipeline.metrics import Table
from pipeline.metrics.run import is_number
from pipeline.render.chart import NARROW, Line, fitting, legend
from pipeline.render.html import Safe, h, text
from pipeline.render.language import NONE, Language
from pipeline.render.metric import cell, column_name
from pipeline.render.svg import svg
from pipeline.render.tables import table
from pipeline.render.vega import Annotation, Chart
from pipeline.render.vega import lines as line_chart
from pipeline.report.changed import part_of_changed, what_changed
from pipeline.report.findings import all_findings, part_words, reference_words, weekday_words
from pipeline.report.model import CHANGED, Facts, Key, days_of, funnel_part, users_of

#: Columns that a report has room for.
_CHANNELS = ("channel", "spend", "new_users", "cac", "paying", "cost_per_buyer", "revenue", "roas")
_RETENTION = ("n", "users", "classic_rate", "rolling_rate")


def title(t: Language, facts: Facts) -> str:
    """What the report is of."""
    period = facts.period
    so_far = t(" (so far)") if period.asked is not None else ""
    if period.kind == "day":
        day = t.day(period.first, weekday=True, year=True)
        return t("{product}: {day}", product=facts.product, day=day) + so_far
    span = f"{t.day(period.first)} – {t.day(period.asked or period.last, year=True)}"
    return t("{product}: week of {span}", product=facts.product, span=span) + so_far


def html(t: Language, facts: Facts, made_at: str) -> str:
    """The whole document. `made_at` is when, in words."""
    style = (files("pipeline.render") / "style.css").read_text("utf-8")
    own = (files("pipeline.report") / "report.css").read_text("utf-8")
    head = h(
        "head", h("meta", charset="utf-8"), h("title", title(t, facts)),
        h("meta", name="viewport", content="width=device-width, initial-scale=1"), h("style", Safe(style + own)),
    )  # fmt: skip
    parts = [
        h("h1", title(t, facts)),
        h(
            "p",
            t("Made {made_at}. Days are those of the plan's time zone.", made_at=made_at),
            class_="note",
        ),
        part_of_period(t, facts),
        *sections(t, facts),
    ]
    body = h("body", h("main", *parts), class_="report")
    return "<!doctype html>\n" + h("html", head, body, lang=t.tag, data_theme="light")


def part_of_period(t: Language, facts: Facts) -> Safe | None:
    """Which part of the days it is of, where they are not over."""
    return h("p", h("strong", part_words(t, facts))) if facts.period.asked is not None else None


class Draw(Protocol):
    """How a chart comes into the report: `narrow` where two stand side by side."""

    def __call__(self, chart: Chart, *, narrow: bool = False) -> Safe: ...


def still(chart: Chart, *, narrow: bool = False) -> Safe:
    """A chart as SVG, for where no script runs."""
    if narrow:
        return svg(chart, NARROW)
    return text(fitting(lambda width: svg(chart, width)), legend(chart.names, bars=chart.bars))


def sections(t: Language, facts: Facts, draw: Draw = still, only: str = "") -> list[Safe]:
    """The parts of the report, most important first; or `only` one of them, or of their pieces (see `parts_of` and
    `pieces_of`), of which the facts are."""
    if only.startswith(f"{CHANGED} "):
        return [part_of_changed(t, facts, only)]
    for funnel in facts.funnels:
        if only == users_of(funnel.name):
            return [_funnel_users(t, funnel)]
        if only == days_of(funnel.name):
            return [_funnel_days(t, facts, funnel, draw)]
    made: list[tuple[str, Callable[[], Safe]]] = [
        (CHANGED, lambda: _section(t("What changed"), what_changed(t, facts))),
        ("keys", lambda: _section(t("Key figures"), _keys(t, facts), _curve(t, facts, draw))),
        *[(funnel_part(f.name), partial(_of_funnel, t, facts, f, draw)) for f in facts.funnels],
        ("retention", lambda: _section(t("Retention"), _table(t, t("Retention"), facts.retention, _RETENTION, t("Nobody joined in the last five weeks.")),
                 _note(t("Users who joined in the 38 days up to the last whole day; day n after joining, of those who "
"had that long.")))),
        ("channels", lambda: _section(t("Channels"), _table(t, t("Channels"), facts.channels, _CHANNELS, t("No spend imported and no new users.")),
                 _note(t("roas: revenue of the users who came in these days, over the spend of these days. Young users "
"have paid little yet.")))),
        ("campaigns", lambda: _section(t("Campaigns"), _campaigns(t, facts))),
        ("experiments", lambda: _section(t("Experiments"), _experiments(t, facts))),
        ("quality", lambda: _section(t("Data quality"), _quality(t, facts))),
        ("alerts", lambda: _section(t("Alerts"), _alerts(t, facts))),
    ]  # fmt: skip
    parts = [make() for name, make in made if not only or name == only]
    if facts.missing:
        parts.append(_section(t("Not in this report"), h("ul", *[h("li", what) for what in facts.missing])))
    return parts


def _of_funnel(t: Language, facts: Facts, funnel: FunnelFacts, draw: Draw) -> Safe:
    return _section(funnel_title(t, funnel.name), _funnel_users(t, funnel), _funnel_days(t, facts, funnel, draw))


def funnel_title(t: Language, name: str) -> str:
    """What the part about a funnel is called."""
    return t("Funnel: {name}", name=name)


def _section(name: str, *content: Any) -> Safe:
    return h("section", h("h2", name), *content, class_="panel")


def _note(said: str) -> Safe:
    return h("p", said, class_="note")


def _keys(t: Language, facts: Facts) -> Safe:
    rows: list[list[Any]] = []
    others = ((facts.period.before, facts.before), (facts.period.same_weekday, facts.same_weekday))
    measures: list[tuple[str, str, str]] = [
        ("users", t("Active users"), "n"), ("new_users", t("New users"), "n"),
        ("sessions", t("Sessions"), "n"), ("orders", t("Orders"), "n"),
        ("revenue", t("Revenue"), "m"), ("average_order", t("Revenue an order"), "m"),
        ("paying_rate", t("Paying rate"), "p"),
    ]  # fmt: skip
    for name, label, kind in measures:
        form: Callable[[Any], str] = t.money if kind == "m" else t.percent if kind == "p" else t.number
        row = [label, h("strong", form(now := getattr(facts.key, name)))]
        for span, key in others:
            then = getattr(key, name) if facts.knows(span, name) else None
            row += [form(then), _change(t, now, then)]
        rows.append(row)
    before = t.day(facts.period.before.first) if facts.period.kind == "day" else reference_words(t, facts)
    heads = [t("Figure"), t("now"), before, t("change"), weekday_words(t, facts), t("change")]
    return table(heads, rows, label=t("Key figures"), numeric=range(1, len(heads)))


def _change(t: Language, now: float | None, then: float | None) -> str:
    return t.change(now / then - 1) if now is not None and then else NONE


def _curve(t: Language, facts: Facts, draw: Draw) -> Safe | None:
    if len(facts.daily) < 2:
        return None
    names = [t.day(day) for day, _, _ in facts.daily]
    curves = [
        (t("Active users by day"), Line("u", [float(u) for _, u, _ in facts.daily])),
        (t("Revenue by day"), Line("r", [r for _, _, r in facts.daily])),
    ]
    marks = _marks(facts, [day for day, _, _ in facts.daily])
    drawn = [
        h("figure", h("figcaption", title),
          draw(line_chart(title, names, [line], t.compact, height=140, annotations=marks), narrow=True))
        for title, line in curves
    ]  # fmt: skip
    return h("div", *drawn, class_="pair")


def _marks(facts: Facts, days: Sequence[date]) -> list[Annotation]:
    """What happened on these days; what one day has is one text."""
    found: dict[int, list[str]] = {}
    for day, words in facts.happened:
        if day in days:
            found.setdefault(days.index(day), []).append(words)
    return [Annotation(place, " · ".join(words)[:200]) for place, words in sorted(found.items())]


def _funnel_users(t: Language, funnel: FunnelFacts) -> Safe:
    rows: list[list[Any]] = []
    for k, name in enumerate(funnel.titles):
        now = funnel.users[k] / funnel.users[k - 1] if k and funnel.users[k - 1] else None
        then = funnel.before[k] / funnel.before[k - 1] if k and funnel.before[k - 1] else None
        moved = t.points(now - then) if now is not None and then is not None else NONE
        rows.append(
            [
                name,
                t.number(funnel.users[k]),
                t.percent(now) if k else "",
                t.percent(then) if k else "",
                moved if k else "",
            ]
        )
    heads = [
        t("Step"),
        t("Users"),
        t("of the step before"),
        t.of("report", "the days before"),
        t("change"),
    ]
    steps = table(heads, rows, label=funnel_title(t, funnel.name), numeric=range(1, len(heads)))
    return text(h("p", worst(t, funnel)), steps)


def _funnel_days(t: Language, facts: Facts, funnel: FunnelFacts, draw: Draw) -> Safe:
    lines = [
        Line(f"{funnel.titles[k - 1]} → {funnel.titles[k]}",
             [users[k] / users[k - 1] if users[k - 1] >= 10 else None for _, users in funnel.daily])
        for k in range(1, len(funnel.titles))
    ]  # fmt: skip
    drawn = None
    if len(funnel.daily) > 1:
        days = [t.day(day) for day, _ in funnel.daily]
        marks = _marks(facts, [day for day, _ in funnel.daily])
        chart = line_chart(
            t("Conversion by day"), days, lines, lambda v: t.percent(v, 0), height=170, annotations=marks
        )
        drawn = h(
            "figure",
            h("figcaption", t("Share of the step before, by day")),
            draw(chart),
        )
    since = [
        h("p", t("{step} → {following}: lower since {since}.", step=c.step, following=c.following, since=t.day(c.since, weekday=True)), class_="bad-word")
        for c in funnel.changes
    ]  # fmt: skip
    if funnel.daily and not since:
        since = [h("p", t("No step fell surely in the last four weeks."))]
    return text(*since, drawn)


def _table(t: Language, label: str, found: Table | None, wanted: tuple[str, ...], empty: str) -> Safe:
    if found is None or not found.rows:
        return h("p", empty, class_="empty")
    types = dict(zip(found.columns, found.types, strict=True))
    names = [name for name in wanted if name in types]
    rows = [[cell(t, name, row[name]) for name in names] for row in found.records()[:15]]
    numeric = [k for k, name in enumerate(names) if is_number(types[name])]
    return table([column_name(t, name) for name in names], rows, label=label, numeric=numeric)


def _campaigns(t: Language, facts: Facts) -> Safe:
    if facts.campaigns is None or not facts.campaigns.rows:
        return h("p", t("No campaign ran in these days."), class_="empty")
    rows = [
        [row["campaign"], f"{t.day(row['starts'])} – {t.day(row['ends'])}", t.number(row["participants"]), t.percent(row["conversion"]),
         t.money(row["revenue"]), campaign_verdict(t, row)]
        for row in facts.campaigns.records()
    ]  # fmt: skip
    heads = [
        t("Campaign"),
        t.of("dates", "Days"),
        t("Took part"),
        t("Bought"),
        t("Revenue"),
        t("Verdict"),
    ]
    return text(
        table(heads, rows, label=t("Campaigns"), numeric=(2, 3, 4), whole=(1,)),
        _note(t("Who takes part chooses to: a difference shows no cause.")),
    )


def _experiments(t: Language, facts: Facts) -> Safe:
    if facts.experiments is None or not facts.experiments.rows:
        return h("p", t("No user met an experiment in the last 30 days."), class_="empty")
    records = facts.experiments.records()
    controls = {row["experiment"]: row for row in records if row["variant"] == "control"}
    split = {(r["experiment"], r["variant"]): r for r in facts.allocation.records()} if facts.allocation else {}
    rows = []
    for row in records:
        off = bool(split.get((row["experiment"], row["variant"]), {}).get("mismatch"))
        bounds = NONE if row["difference_low"] is None else interval(t, row["difference_low"], row["difference_high"])
        rows.append([row["experiment"], row["variant"], t.number(row["users"]), t.percent(row["conversion"]), bounds,
                     experiment_verdict(t, row, controls.get(row["experiment"]), off)])  # fmt: skip
    heads = [
        t("Experiment"),
        t("Variant"),
        t("Users"),
        t("Conversion"),
        t("Difference, 95 %"),
        t("Verdict"),
    ]
    made = table(heads, rows, label=t("Experiments"), numeric=(2, 3, 4))
    return text(made, _note(t("The 30 days up to the end of the report.")))


def _quality(t: Language, facts: Facts) -> Safe:
    now, then = facts.quality, facts.quality_before
    if not now.seen:
        return h("p", t("No records came in these days."), class_="empty")
    names = {
        "accepted": t("accepted"),
        "late": t("late"),
        "duplicate": t("duplicate"),
        "rejected": t("rejected"),
    }
    rows = [
        [label, t.number(getattr(now, name)), t.percent(getattr(now, name) / now.seen, 2),
         t.percent(getattr(then, name) / then.seen, 2) if then.seen else NONE]
        for name, label in names.items()
    ]  # fmt: skip
    heads = [t("What became of it"), t("Records"), t("Share"), t.of("report", "the days before")]
    made = table(heads, rows, label=t("Data quality"), numeric=(1, 2, 3))
    why = h(
        "ul",
        *[
            h("li", h("code", reason), f" {t.number(count)}: {t.read(example)}")
            for reason, count, example in now.reasons
        ],
    )
    return text(made, why if now.reasons else None)


def _alerts(t: Language, facts: Facts) -> Safe:
    if facts.alerts is None:
        return _note(t("Not known: no Prometheus was asked (PIPELINE_PROMETHEUS_URL)."))
    if not facts.alerts:
        return h("p", t("None fired."))
    rows = [[a.title, a.summary, _moment(t, a.since), _moment(t, a.until or a.since)] for a in facts.alerts]
    heads = [t("Alert"), t("What it says"), t("First (UTC)"), t("Last (UTC)")]
    return table(heads, rows, label=t("Alerts"), whole=(2, 3))


def _moment(t: Language, ms: int) -> str:
    return f"{t.day(datetime.fromtimestamp(ms / 1000, UTC).date())} {t.clock(ms)}"


def headline(t: Language, facts: Facts) -> list[str]:
    """The report in a few lines, for a message."""
    found = all_findings(t, facts)
    key: Key = facts.key
    lines = [
        title(t, facts),
        t("{users} users, {orders} orders, revenue {revenue}.", users=t.number(key.users), orders=t.number(key.orders), revenue=t.money(key.revenue)),
    ]  # fmt: skip
    if facts.period.asked is not None:
        lines[1] += " " + part_words(t, facts)
    return lines + [f"{'▼' if f.bad else '▲'} {f.what} {f.advice}".strip() for f in found[:5]]
