"""A metric outside of the page: the file shows what page and report show, of the same drawing."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import pytest
from described import descriptions, said

from pipeline.errors import UserError
from pipeline.metrics import Metric, Table, metric
from pipeline.render.html import Safe
from pipeline.render.language import Language
from pipeline.render.metric import drawing, in_page, metric_table
from pipeline.render.picture import png, sheet

EN = Language("en")
DAY = date(2026, 11, 25)
_TYPES = {int: "UInt64", float: "Float64", str: "String", date: "Date"}


def table(columns: str, *rows: tuple[Any, ...]) -> Table:
    names = tuple(columns.split())
    return Table(names, tuple(_TYPES.get(type(value), "UInt64") for value in rows[0]) if rows else names, rows)


NPS_BY = table("by answers nps", ("ios", 10, -50.0), ("web", 10, 25.0))


def metric_chart(*asked: Any) -> Safe | None:
    """The picture as a page has it."""
    made = drawing(*asked)
    return in_page(EN, made) if made is not None else None


def size(picture: bytes) -> tuple[int, int]:
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    return int.from_bytes(picture[16:20]), int.from_bytes(picture[20:24])


def texts(svg: str) -> list[str]:
    """Every text that is drawn."""
    found = ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")
    return [item.text or "" for item in found]


def test_an_axis_is_logarithmic_where_that_shows_more() -> None:
    days = [DAY - timedelta(back) for back in (3, 2, 1)]

    def axis(*values: float) -> tuple[bool, str]:
        rows = table("day users", *zip(days, values, strict=True))
        made = drawing(EN, metric("active_users_daily"), rows, log=True)
        assert made is not None
        scale = next(s["encoding"]["y"]["scale"]["type"] for s in made.chart.spec["layer"] if "y" in s["encoding"])
        return made.decades, scale

    assert axis(7, 70, 700) == (True, "log")
    assert axis(7, 70, 699) == (False, "linear")  # not two decades
    assert axis(0, 70, 700) == (False, "linear")  # a day of nobody has no place on it
    assert axis(-1, 70, 700) == (False, "linear")


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("nps_by", NPS_BY),
        ("active_users", table("day dau wau mau", (DAY - timedelta(3), 1, 2, 3), (DAY - timedelta(2), 2, 3, 4))),
        ("retention", table("cohort n users classic_rate whole", (DAY, 0, 9, 1.0, 1), (DAY, 1, 9, 0.5, 1))),
        ("funnel", table("step event users", (1, "look", 9), (2, "buy", 4))),
    ],
)
def test_the_file_is_drawn_of_the_description_of_the_page(name: str, rows: Table) -> None:
    page, file = metric_chart(EN, metric(name), rows), sheet(EN, metric(name), rows, {"to": DAY})
    assert page is not None
    (brought,) = descriptions(page)
    made = drawing(EN, metric(name), rows)
    assert made is not None
    spec = made.chart.spec if made.chart.width is None else made.chart.spec | {"autosize": {"type": "pad"}}
    assert brought["spec"] == json.loads(json.dumps(spec))
    words = brought["spec"]["data"]["values"] if metric(name).chart.kind != "line" else []
    assert {row["said"] for row in words} <= set(texts(file))
    assert set(brought["names"] if len(brought["names"]) > 1 else []) <= set(texts(file))
    assert f"to {DAY}" in texts(file)
    width, height = size(png(EN, metric(name), rows, {"to": DAY}))
    assert width >= 1100
    assert height >= 150


def test_what_is_drawn_is_what_the_table_says() -> None:
    rows = table("day dau wau mau", (DAY - timedelta(3), 1, 2, 3), (DAY - timedelta(2), 1234, 3, 4))
    chosen = metric("active_users")
    drawn, listed = said(str(metric_chart(EN, chosen, rows))), metric_table(EN, chosen, rows)
    words = re.findall(r'<td class="n">([^<]*)</td>', listed)
    assert [drawn[name][day] for day in ("Nov 22", "Nov 23") for name in ("dau", "wau", "mau")] == words
    assert words == ["1", "2", "3", "1,234", "3", "4"]


def test_a_gap_is_left_out_not_drawn_as_zero() -> None:
    """The mean of a day without sessions is NULL: the line is broken there."""
    chosen: Metric = metric("sessions_daily")

    def drawn(values: Sequence[int | None]) -> list[Any]:
        days = [DAY - timedelta(days=9 - i) for i in range(3)]
        rows = table("day sessions users", *((d, v, 5) for d, v in zip(days, values, strict=True)))
        return [
            row["y"] for row in descriptions(str(metric_chart(EN, chosen, rows)))[0]["spec"]["data"]["values"] if row["s"] == "s1"
        ]  # fmt: skip

    assert drawn([5, None, 5]) == [5, None, 5]
    assert drawn([5, 0, 5]) == [5, 0, 5]


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
