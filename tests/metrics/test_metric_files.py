"""The form of a metric file, and that every file has it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.metrics.metric import MetricChart, MetricFileError, Parameter, parse_metric
from pipeline.metrics.registry import metrics
from pipeline.render.language import CODES, ENGLISH, Language
from pipeline.render.metrics_page import markdown

FILE = """\
-- title: Things
-- group: activity
-- definition: What there is,
--   in two lines.
-- formula: count
-- grain: one row
-- parameters:
--   from Date = today - 29: first day
--   period String = day (one of day, week): length,
--     said at length
-- example: SELECT * FROM things(from = '2026-11-01', period = 'day')
-- mistakes: none
-- chart: line x=day y=a,b series=platform
SELECT {from:Date} AS day, {period:String} AS b
"""


def test_a_file() -> None:
    metric = parse_metric("things", FILE)
    assert metric.definition == "What there is, in two lines."
    assert metric.texts == [
        "Things", "What there is, in two lines.", "count", "one row", "first day", "length, said at length", "none",
    ]  # fmt: skip
    assert metric.parameters == (
        Parameter("from", "Date", "today - 29", "first day"),
        Parameter("period", "String", "day", "length, said at length", ("day", "week")),
    )
    assert metric.chart == MetricChart("line", "day", ("a", "b"), "platform")
    assert metric.sql == "SELECT {from:Date} AS day, {period:String} AS b"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("-- formula: count\n", ""), "nothing is said under formula"),
        (("activity", "fun"), "no group 'fun'"),
        (("-- grain", "-- grian"), "its fields are"),
        (("from Date = today - 29: first day", "from Date: first day"), "a parameter is written"),
        (("{period:String}", "'day'"), "the comment names the parameters"),
        (("line x", "pie x"), "a chart is written"),
        (("SELECT {from", "DROP {from"), "one SELECT"),
    ],
)
def test_mistakes_in_a_file(change: tuple[str, str], message: str) -> None:
    with pytest.raises(MetricFileError, match=message):
        parse_metric("things", FILE.replace(*change))


@pytest.mark.parametrize("code", CODES)
def test_the_page_is_current(code: str) -> None:
    page = Path("docs") / ("" if code == ENGLISH else code) / "metrics.md"
    assert page.read_text("utf-8") == markdown(Language(code)), "run `make docs`"


@pytest.mark.parametrize("name", metrics())
def test_every_example_calls_its_metric(name: str) -> None:
    metric = metrics()[name]
    assert f"FROM {name}" in metric.example
    for parameter in metric.parameters:
        assert f"{parameter.name} = " in metric.example
