"""Whatever stands in an address: a question that is written as the same again, or one line that says what is wrong.

And its SQL is the same whatever the values are: nothing that is asked can be broken out of.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from metrics.world import TEXT, World, event

from explore.asking import LAST, people, rows
from pipeline.errors import UserError
from pipeline.explore.address import KINDS, QUICK, read, read_cell
from pipeline.explore.distribution import distribution_sql
from pipeline.explore.filters import OPERATORS, joined, split
from pipeline.explore.formula import formula_sql
from pipeline.explore.funnel import built_sql
from pipeline.explore.given import AddressReader
from pipeline.explore.lifecycle import lifecycle_sql
from pipeline.explore.paths import paths_sql
from pipeline.explore.people import people_sql
from pipeline.explore.question import (
    BuiltFunnel,
    Cell,
    Distribution,
    Lifecycle,
    Paths,
    Question,
    Retention,
    Trend,
)
from pipeline.explore.retention import retention_sql
from pipeline.explore.sql import SETTINGS, Sql
from pipeline.explore.trend import trend_sql
from pipeline.explore.written import write, write_cell
from pipeline.render.language import Language
from schemas.plan_io import parse_plan

PLAN = parse_plan(TEXT + "unknown_events: keep\nsegments: {loyal: {did: buy, at_least: 2}}\n")
TODAY = date(2026, 11, 30)
ODD = [
    "' OR 1=1 --", "\\", "\\'", "'", '"', "`", ")", "(", "{v0:String}", "{x:String}", "{database}", "%s",
    "%(a)s", "%", "\\N", "a,b", "[",
    '["a"', "/*", "*/", "--", ";", "; DROP TABLE events_raw", "' UNION ALL SELECT 1 --", "it's", "\\x27",
    "\\u0027", "支付", "🛒", "'🛒",
    "a" * 256, "=1+1", "<script>", "::", "x') OR (person != '", "\t", "NULL", "nan", "0", "-1", "1e400",
    "properties.", "user.",
]  # fmt: skip
SELECT: dict[type, Callable[..., Sql]] = {
    Trend: trend_sql, BuiltFunnel: built_sql, Retention: retention_sql, Distribution: distribution_sql,
    Lifecycle: lifecycle_sql, Paths: paths_sql,
}  # fmt: skip


def ask(query: dict[str, str]) -> Question:
    return read(AddressReader(query, PLAN, TODAY, True), query.get("kind", "trend"))


def sql_of(question: Question) -> Sql:
    return SELECT[type(question)](question, PLAN)


# --- reading and writing ---

TEXTS = st.one_of(st.sampled_from(ODD), st.text(max_size=20))
EVENT = st.sampled_from(["look", "cart", "buy", "", "open", *ODD[:8]])
FIELD = st.sampled_from(
    ["platform", "event", "properties.price", "user.tier", "channel", "", "properties.it's", "nothing"]
)
NUMBER = st.sampled_from(["1", "2", "5", "", "0", "x"])
VALUES: dict[str, st.SearchStrategy[str]] = {
    "from": st.sampled_from(["2026-11-01", "", "2026-11-20", "2030-01-01", "0001-01-01", "x"]),
    "to": st.sampled_from(["2026-11-12", "", "2026-11-25", "9999-12-31"]),
    "grain": st.sampled_from(["day", "hour", "week", "month", "", "year"]),
    "by": FIELD, "by2": FIELD, "than": st.sampled_from(["", "before", "week", "year", "segment", "x"]),
    "vs": st.sampled_from(["", "in", "out", "in:loyal", "out:loyal"]),
    "seg": st.sampled_from(["", "in", "out", "in:loyal", "out:loyal", "in:x"]),
    "window": st.sampled_from(["1h", "", "90d", "91d", "x", "0s"]),
    "order": st.sampled_from(["", "any", "strict", "x"]),
    "per": st.sampled_from(["", "session"]), "first": st.sampled_from(["", "every"]),
    "week": st.sampled_from(["", "sunday"]),
    "of": st.sampled_from(["", "days", "sum"]), "away": NUMBER, "way": st.sampled_from(["", "to"]),
    "event": EVENT, "depth": NUMBER,
    "x1": st.sampled_from(["A / B", "A", "(A", "1 %", "A + B %", ""]), "g": st.sampled_from(["", "any", "every"]),
}  # fmt: skip
for k in (1, 2, 3):
    VALUES |= {f"e{k}": EVENT, f"e{k}a": EVENT, f"p{k}": FIELD, f"g{k}e": EVENT, f"g{k}n": NUMBER, f"g{k}d": NUMBER}
    VALUES |= {f"m{k}": st.sampled_from(["people", "count", "sum", "p90", "sessions", "", "all"])}
    VALUES |= {f"g{k}": st.sampled_from(["did", "not", "has", ""]), f"g{k}c": st.sampled_from(["", "gte", "is", "lte"])}
    for prefix in ("", "e1", "e2", f"g{k}"):
        VALUES |= {f"{prefix}f{k}": FIELD, f"{prefix}o{k}": st.sampled_from([*OPERATORS, "", "x"])}
        VALUES |= {f"{prefix}v{k}": st.one_of(TEXTS, NUMBER)}
for name in QUICK:
    VALUES |= {name: TEXTS}


@st.composite
def addresses(draw: st.DrawFn) -> dict[str, str]:
    names = draw(st.lists(st.sampled_from(sorted(VALUES)), max_size=12, unique=True))
    return {"kind": draw(st.sampled_from(KINDS)), **{name: draw(VALUES[name]) for name in names}}


def refused_or(read_it: Callable[[], Question]) -> Question | None:
    """The question; None if it was refused, in one line."""
    said = chinese = ""
    try:
        return read_it()
    except UserError as exc:
        said, chinese = str(exc), Language("zh").said(exc)
    assert said.isprintable()
    assert chinese != said
    assert 0 < len(said) < 400
    return None


@given(addresses())
def test_a_question_is_written_as_it_was_read_or_refused_in_one_line(query: dict[str, str]) -> None:
    question = refused_or(lambda: ask(query))
    if question is None:
        return
    written = write(question)
    assert ask(written) == question
    assert read(AddressReader(written, PLAN, date(2027, 1, 1), True), written["kind"]) == question
    sql = sql_of(question)
    assert SETTINGS in sql.text
    assert not re.search(r"\{[dv]\d+:", sql.shown())


@given(st.lists(TEXTS, max_size=5))
def test_values_are_split_as_they_were_joined(values: list[str]) -> None:
    assert split(joined(values)) == values


@given(st.builds(Cell, st.integers(0, 1), TEXTS, st.tuples(TEXTS), st.just(False)))
def test_a_cell_is_written_as_it_was_read(cell: Cell) -> None:
    question = ask({"kind": "trend", "m1": "people", "m2": "count", "by": "platform"})
    assert read_cell(AddressReader(write_cell(cell), PLAN, TODAY, True), question) == cell


# --- nothing is broken out of ---


def skeleton(sql: str) -> str:
    """A query without its literals, as ClickHouse reads them; the length of lists doesn't matter."""
    bare = re.sub(r"'(?:[^'\\]|\\.)*'", "?", sql, flags=re.DOTALL)
    return re.sub(r"\?(?:, \?)*", "?", bare)


HOSTILE = st.one_of(
    st.sampled_from(ODD), st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")), max_size=30)
)


def filled(kind: str, text: str) -> dict[str, str]:
    """An address with a text in every place that takes one."""
    one = joined([text])
    return {
        "kind": kind, "f1": f"properties.{text}", "o1": "is", "v1": one, "f2": f"user.{text}",
        "o2": "contains", "v2": one,
        "platform": one, "e1": text, "e1a": "buy", "e1f1": f"properties.{text}", "e1o1": "excludes", "e1v1": one,
        "e2": text,
        "seg": "in", "g1": "did", "g1e": text, "g1f1": "channel", "g1o1": "is_not", "g1v1": one, "g2": "has",
        "g2f1": text,
        "g2v1": one, "by": f"properties.{text}", "by2": f"user.{text}", "m1": "sum",
        "p1": f"properties.{text}", "n1": text,
        "event": text, "way": "to", "of": "sum", "from": "2026-11-01", "to": "2026-11-05",
    }  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@given(HOSTILE)
@settings(max_examples=settings.default.max_examples // 5)  # type: ignore[union-attr]
def test_the_query_is_the_same_whatever_the_values_are(kind: str, text: str) -> None:
    try:
        question = ask(filled(kind, text))
    except UserError:
        return
    harmless = ask(filled(kind, "a"))
    assert skeleton(sql_of(question).shown()) == skeleton(sql_of(harmless).shown())
    cell, same = (
        Cell(1, text, (text, text)[: 2 if kind == "trend" else 1]),
        Cell(1, "a", ("a", "a")[: 2 if kind == "trend" else 1]),
    )
    if kind == "trend":
        cell, same = Cell(0, text, (text, text)), Cell(0, "a", ("a", "a"))
    assert skeleton(people_sql(question, cell, PLAN).shown()) == skeleton(people_sql(harmless, same, PLAN).shown())


async def test_odd_values_are_found_as_they_are_and_nothing_else(world: World) -> None:
    """A property, a value and a channel of each name: the question finds the one who has it, and breaks nothing."""
    odd = [text for text in ODD if text == text.strip()]
    await world.tell(
        [
            event(f"u{k}", "buy", "2026-11-01 10:00", {f"p{text}"[:190]: text, "amount": 2}, channel=text)
            for k, text in enumerate(odd)
        ]
    )
    for k, text in enumerate(odd):
        query = {
            "kind": "trend", "from": "2026-11-01", "to": str(LAST), "m1": "sum", "p1": "value", "by": "channel",
            "f1": f"properties.p{text}"[:201], "o1": "is", "v1": joined([text]), "channel": joined([text]),
        }  # fmt: skip
        question = ask(query)
        assert isinstance(question, Trend)
        found = await rows(world, trend_sql(question, PLAN))
        assert [row[:4] for row in found] == [(1, "1970-01-01", text, 2), (0, "2026-11-01", text, 2)]
        if k % 8 == 0:
            assert await people(world, question, Cell(0, "2026-11-01", (text,))) == [f"u{k}"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", ["' OR 1=1 -- \\'{v0:String}支付"])
async def test_a_question_full_of_odd_values_is_answered(world: World, kind: str, text: str) -> None:
    await world.tell([event("ann", "buy", "2026-11-01 10:00", {"amount": 1})])
    question = ask(filled(kind, text))
    # Nobody is all that.
    assert [row for row in await rows(world, sql_of(question)) if any(row[2:3])] == [] or kind == "funnel"
    cell = Cell(0, text, {"trend": (text, text), "funnel": (text,)}.get(kind, ()))
    assert await people(world, question, cell) == []


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"kind": "x"}, "kind is one of trend, funnel, retention, distribution, lifecycle, paths, not 'x'"),
        ({"from": "2026-11-05", "to": "2026-11-01"}, "from (2026-11-05) is later than to (2026-11-01)"),
        ({"from": "2025-01-01", "to": "2026-11-01"}, "from 2025-01-01 to 2026-11-01 are more than 366 days"),
        ({"from": "soon"}, "from is a day like 2026-11-30, not 'soon'"),
        ({"to": "9999-12-31"}, "to is a day from 1971-01-01 to 2148-12-31, not 9999-12-31"),
        ({"grain": "hour", "from": "2026-11-01", "to": "2026-11-20"}, "by hour at most 14 days can be asked for"),
        ({"f1": "properties.price", "o1": "gt", "v1": "dear"}, "properties.price: 'dear' is no number"),
        ({"f1": "platform", "v1": joined([str(n) for n in range(51)])}, "51 values are too many: give at most 50"),
        ({"m1": "sum", "p1": "platform"}, "'platform' has no numbers: use properties.NAME, or value"),
        ({"kind": "funnel", "funnel": "buyin"}, "the plan has no funnel 'buyin': did you mean buying?"),
        ({"kind": "funnel", "e1": "look"}, "a funnel has two steps at least"),
        ({"kind": "funnel", "e1": "look", "e2": "buy", "window": "100d"}, "the time for all steps is at most 12w6d"),
        ({"kind": "funnel", "e1": "look", "e2": "buy", "window": "9" * 5000 + "d"}, "the time for all steps"),
        ({"than": "segment"}, "compared with which segment? Choose one"),
        ({"x1": "A / B"}, "the formula 'A / B' has B, and there is no series B"),
        ({"kind": "lifecycle", "away": "١"}, "away is a whole number from 1 to 365"),
    ],
)  # fmt: skip
def test_what_can_not_be_asked_is_said(query: dict[str, str], said: str) -> None:
    with pytest.raises(UserError) as raised:
        ask(query)
    assert said in str(raised.value)
    assert Language("zh").said(raised.value) != str(raised.value)


@pytest.mark.parametrize(
    "formula", ["", "A B", "A +", "(A", "A)", "sleep(3)", "A; B", "1e5", "A' OR '1", "-", "()", "A / / B", "×"]
)
def test_a_formula_that_is_none_is_refused(formula: str) -> None:
    with pytest.raises(UserError):
        formula_sql(formula, 2)


@given(st.text("AB12+-*/()% .", max_size=100))
def test_a_formula_is_numbers_letters_and_signs(formula: str) -> None:
    try:
        found = formula_sql(formula, 2)
    except UserError:
        return
    assert re.fullmatch(r"(?:toFloat64\((?:[AB]|[\d.]+)\)|nullIf|, 0|[-+*/() ])+", found)


@pytest.mark.parametrize(
    "query",
    [
        {"kind": "trend", "by": "user.email"},
        {"kind": "trend", "by": "platform", "by2": "user.email"},
        {"kind": "funnel", "by": "user.email"},
        {"kind": "trend", "f1": "user.email", "v1": "ann@example.com"},
        {"kind": "lifecycle", "e1": "look", "e1f1": "user.email", "e1o1": "set"},
        {"kind": "funnel", "e1": "look", "e2": "cart", "n1": "buy", "n1f1": "user.email", "n1v1": "a"},
        {"kind": "retention", "seg": "in", "g1": "has", "g1f1": "email", "g1v1": "ann@example.com"},
        {"kind": "paths", "seg": "out", "g1": "has", "g1f1": "user.email", "g1o1": "set"},
        {"kind": "trend", "than": "segment", "vs": "in", "g1": "did", "g1f1": "user.email", "g1v1": "a"},
    ],
)
def test_where_single_people_are_off_no_address_reads_their_attributes(query: dict[str, str]) -> None:
    """A value that few people have says who they are; a condition on it shows what one of them does."""
    assert read(AddressReader(query, PLAN, TODAY, True), query["kind"])
    with pytest.raises(UserError) as refused:
        read(AddressReader(query, PLAN, TODAY, False), query["kind"])
    assert str(refused.value) == (
        "'user.email' is an attribute of users, and this installation shows no single people "
        "(PIPELINE_DASHBOARD_PEOPLE): ask by a segment of the plan"
    )


def test_where_single_people_are_off_the_plans_own_segments_may_ask_for_an_attribute() -> None:
    plan = parse_plan(TEXT + "segments: {gold: {attribute: {tier: gold}}}\n")
    asked = {"kind": "trend", "seg": "in:gold", "by": "properties.tier"}
    assert read(AddressReader(asked, plan, TODAY, False), "trend") == read(
        AddressReader(asked, plan, TODAY, True), "trend"
    )
