"""A metric outside of the page: the file shows what page and report show, of the same drawing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import pytest

from pipeline.errors import UserError
from pipeline.metrics import Metric, Table, metric
from pipeline.render.language import Language
from pipeline.render.metric import metric_chart
from pipeline.render.picture import png, sheet

pytestmark = pytest.mark.usefixtures("needs_charts")

EN = Language("en")
DAY = date(2026, 11, 25)
_TYPES = {int: "UInt64", float: "Float64", str: "String", date: "Date"}


def table(columns: str, *rows: tuple[Any, ...]) -> Table:
    names = tuple(columns.split())
    return Table(names, tuple(_TYPES.get(type(value), "UInt64") for value in rows[0]) if rows else names, rows)


NPS_BY = table("by answers nps", ("ios", 10, -50.0), ("web", 10, 25.0))


def size(picture: bytes) -> tuple[int, int]:
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    return int.from_bytes(picture[16:20]), int.from_bytes(picture[20:24])


def shapes(svg: str) -> list[str]:
    """Everything that is drawn, without where it stands as a whole."""
    return re.findall(r"<(?:rect|path|circle|line)[^>]*>|<text[^>]*>[^<]*", svg)


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("nps_by", NPS_BY),
        ("active_users", table("day dau wau mau", (DAY - timedelta(3), 1, 2, 3), (DAY - timedelta(2), 2, 3, 4))),
        ("retention", table("cohort n users classic_rate whole", (DAY, 0, 9, 1.0, 1), (DAY, 1, 9, 0.5, 1))),
        ("funnel", table("step event users", (1, "look", 9), (2, "buy", 4))),
    ],
)
def test_the_file_has_the_drawing_of_the_page(name: str, rows: Table) -> None:
    page, file = str(metric_chart(EN, metric(name), rows)), sheet(EN, metric(name), rows, {"to": DAY})
    wide = re.search(r"<svg.*?</svg>", page, re.S)
    assert wide is not None
    drawn = shapes(wide[0])
    assert len(drawn) > 4
    assert [shape for shape in shapes(file) if shape in drawn] == drawn
    width, height = size(png(EN, metric(name), rows, {"to": DAY}))
    assert (width, height) >= (1500, 150)


def test_a_negative_bar_is_to_the_left_in_page_and_file_alike() -> None:
    for svg in (str(metric_chart(EN, metric("nps_by"), NPS_BY)), sheet(EN, metric("nps_by"), NPS_BY, {})):
        low, high = re.findall(r'<rect x="([0-9.]+)" y="[0-9]+" width="([0-9.]+)"', svg)[:2]
        assert float(low[0]) + float(low[1]) == pytest.approx(float(high[0]), abs=0.2)
        assert float(low[1]) == pytest.approx(2 * float(high[1]), rel=0.01)


def test_a_gap_is_left_out_not_drawn_as_zero() -> None:
    """The mean of a day without sessions is NULL: the line is broken there."""
    chosen: Metric = metric("sessions_daily")

    def drawn(values: Sequence[int | None]) -> str:
        days = [DAY - timedelta(days=9 - i) for i in range(3)]
        return sheet(
            EN, chosen, table("day sessions users", *((d, v, 5) for d, v in zip(days, values, strict=True))), {}
        )

    assert drawn([5, None, 5]).count("<circle") == 2
    assert drawn([5, 0, 5]).count("<circle") == 0


def test_what_is_not_over_is_not_drawn_and_that_is_said() -> None:
    """Half a day beside whole ones is a cliff, and so are two days of a week."""
    daily = table("day users", (DAY - timedelta(2), 100), (DAY - timedelta(1), 110), (DAY, 7))
    page = str(metric_chart(EN, metric("active_users_daily"), daily, DAY))
    assert "Periods that are not over are not drawn." in page
    assert "110" in page
    assert "Nov 25" not in page
    assert "Nov 25" in str(metric_chart(EN, metric("active_users_daily"), daily, DAY + timedelta(1)))
    weeks = table("period users whole", (DAY - timedelta(9), 500, 1), (DAY - timedelta(2), 90, 0))
    said = sheet(EN, metric("active_users_calendar"), weeks, {}, DAY)
    assert "Periods that are not over are not drawn." in said
    assert ">500<" in said
    assert ">90<" not in said
    running = table("day users", (DAY, 7))
    assert metric_chart(EN, metric("active_users_daily"), running, DAY) is None
    assert "nothing is over yet" in sheet(EN, metric("active_users_daily"), running, {}, DAY)


def test_without_rows_it_says_so() -> None:
    assert "no rows" in sheet(EN, metric("nps_by"), table("by answers nps"), {})


def test_a_list_has_no_chart() -> None:
    with pytest.raises(UserError, match="users_at_risk is a list: no chart suits it"):
        png(EN, metric("users_at_risk"), Table((), (), []), {})
