"""Metrics as charts: what is drawn is what the rows say."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal

from described import said
from whole_system import ROOT

from pipeline.metrics import Table, metric
from pipeline.render.language import Language
from pipeline.render.metric import cell, drawing, in_page, metric_table

EN, ZH = Language("en"), Language("zh")


def test_rows_that_a_further_column_parts_are_added_up() -> None:
    day, other = date(2026, 11, 1), date(2026, 11, 2)
    rows = [(day, "ads", "a", 3), (day, "ads", "b", 4), (other, "ads", "a", 5), (day, "organic", "", 2)]
    table = Table(("day", "channel", "campaign", "new"), ("Date", "String", "String", "UInt64"), rows)
    made = drawing(EN, metric("new_users"), table)
    assert made is not None
    assert said(in_page(EN, made)) == {"ads": {"Nov 1": "7", "Nov 2": "5"}, "organic": {"Nov 1": "2", "Nov 2": "–"}}


def test_values_are_written_as_their_columns_want() -> None:
    assert cell(EN, "paid_rate", 0.4123) == "41.2 %"
    assert cell(EN, "revenue", Decimal("12.5")) == "12.50"
    assert cell(EN, "users", 12345) == "12,345"
    assert cell(EN, "p_value", 0.01234) == "0.0123"
    assert cell(EN, "median_seconds", 125.0) == "2 min 5 s"
    assert cell(EN, "rate", None) == "–"
    assert (cell(EN, "segment", "at_risk"), cell(ZH, "segment", "at_risk")) == ("at risk", "有流失风险")


def test_what_the_catalogue_writes_itself_is_said_in_chinese() -> None:
    """Every list of words in the SQL: a bracket of time, an age, a segment."""
    sql = [*(ROOT / "sql" / "metrics").glob("*.sql"), ROOT / "sql" / "facts" / "31_rfm_between.sql"]
    found = set()
    for file in sql:
        text = re.sub(r"^--.*", "", file.read_text("utf-8"), flags=re.M)
        lists = re.findall(r"(\['[^]]*'\])[^\n]* AS (\w+),", text) + re.findall(
            r"multiIf\(\s*recency([^)]*)\) AS (\w+)", text
        )
        found |= {
            (column if column != "place" else "segment", value)
            for words, column in lists
            for value in re.findall(r"'([^']*)'", words)
        }
    assert len(found) == 24
    for column, value in found:
        said = cell(ZH, column, value) if column != "n" else cell(ZH, "segment", value)
        assert re.search(r"[\u4e00-\u9fff]", said), (column, value)
    assert (cell(EN, "bracket", "days 1 to 2"), cell(ZH, "bracket", "days 1 to 2")) == ("days 1 to 2", "第 1 至 2 天")
    # A stranger's value is none of them elsewhere.
    assert cell(ZH, "channel", "champions") == "champions"


def test_a_long_table_says_how_much_is_left_out() -> None:
    table = Table(("day", "users"), ("Date", "UInt64"), [(date(2026, 11, 1), k) for k in range(30)])
    html = metric_table(EN, metric("active_users_daily"), table, 10)
    assert html.count("<tr>") == 11
    assert "and 20 more rows, in the download" in html
    # Where only the first were asked for nobody knows how many.
    first = Table(table.columns, table.types, table.rows[:10], truncated=True)
    assert ">and more rows, in the download<" in metric_table(EN, metric("active_users_daily"), first, 10)
