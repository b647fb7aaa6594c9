"""What can be kept: bounds of names, texts and addresses, wherever they come from; days that move on; ids."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import UserError
from pipeline.kept.days import moving
from pipeline.kept.things import KeptChart, Kind, check_id, data_of, make, new_id

TODAY = date(2026, 11, 26)


def chart(**more: Any) -> dict[str, Any]:
    return {"key": "a1", "title": "Buyers", "address": {"kind": "trend", "m1": "people"}, **more}


@pytest.mark.parametrize(
    ("kind", "data", "said"),
    [
        ("board", {"title": " "}, "title: a title can't be empty"),
        ("board", {"title": "a\nb"}, "title: 'a\\nb': a line break at position 2 can't stand here"),
        ("board", {"title": "a\u2028b"}, "title: 'a\\u2028b': a line break at position 2 can't stand here"),
        ("board", {"title": "\ud800"}, "title: '\\ud800': half of a character at position 1 can't stand here"),
        ("board", {"title": "x" * 121}, "title: a title has at most 120 characters, and this has 121"),
        ("board", {"title": "b", "charts": [chart(), chart()]}, "two charts of a board have one key"),
        (
            "board",
            {"title": "b", "charts": [chart(key="../x")]},
            "charts.0.key: '../x' can't be an id: use small letters, digits and -, at most 40",
        ),
        (
            "board",
            {"title": "b", "charts": [chart(address={"a b": "1"})]},
            "charts.0.address: 'a b' is no parameter of an address",
        ),
        (
            "board",
            {"title": "b", "charts": [chart(address={"x1": "1\x00"})]},
            "charts.0.address: '1\\x00': a control character at position 2 can't stand here",
        ),
        (
            "board",
            {"title": "b", "charts": [chart(address={"x1": "y" * 2001})]},
            "charts.0.address: x1: at most 2000 characters",
        ),
        (
            "board",
            {"title": "b", "charts": [chart(days=7, address={"from": "2026-11-01"})]},
            "charts.0: days that move on, or from and to: not both",
        ),
        ("board", {"title": "b", "owner": "ann"}, "owner: Extra inputs are not permitted"),
        (
            "segment",
            {"title": "s", "address": {"kind": "trend"}},
            "kind is no parameter of a segment: they begin with g",
        ),
        ("annotation", {"at": "soon", "text": "x"}, "at: 'soon' is no moment: write 2026-11-20T14:00, or a day"),
        ("annotation", {"at": "0001-01-01", "text": "x"}, "at: '0001-01-01': a year from 1971 to 2148"),
        ("annotation", {"at": "2026-11-20", "text": ""}, "text: say what happened"),
        (
            "annotation",
            {"at": "2026-11-20", "text": "x" * 201},
            "text: a text of at most 200 characters, and this has 201",
        ),
        (
            "annotation",
            {"at": "2026-11-20", "text": "x", "kind": "party"},
            "kind: Input should be 'release', 'campaign', 'incident' or 'other'",
        ),
        (
            "alert",
            {"metric": "events"},
            "an alert has one condition (above, below, drop, rise, absent or unusual), not none",
        ),
        ("board", ["no", "mapping"], "Input should be a valid dictionary or instance of Board"),
    ],
)
def test_what_can_not_be_kept_is_said_in_one_line(kind: Kind, data: Any, said: str) -> None:
    with pytest.raises(UserError) as caught:
        make(kind, data)
    assert str(caught.value) == said


@pytest.mark.parametrize("id_", ["", "A", "a/b", "..", "a" * 41, "-a", "ä", "a\n", "a\x00"])
def test_an_id_is_no_path_and_no_markup(id_: str) -> None:
    with pytest.raises(UserError):
        check_id("board", id_)
    with pytest.raises(UserError):
        check_id("alert", f"{id_}<")


def test_days_that_end_today_or_yesterday_move_on_and_others_stay() -> None:
    of_today = moving({"kind": "trend", "from": "2026-11-20", "to": "2026-11-26"}, TODAY)
    assert of_today == {"address": {"kind": "trend"}, "days": 7, "ago": 0}
    kept = KeptChart(key="a", title="t", **of_today)
    assert kept.at(date(2027, 1, 10)) == {"kind": "trend", "from": "2027-01-04", "to": "2027-01-10"}
    assert moving({"from": "2026-11-25", "to": "2026-11-25"}, TODAY) == {"address": {}, "days": 1, "ago": 1}
    for past in (
        {"from": "2026-11-01", "to": "2026-11-24"},
        {"from": "2026-11-27", "to": "2026-11-26"},
        {"from": "x"},
        {},
    ):
        assert moving(past, TODAY) == {"address": past}


@given(st.dates(date(2025, 12, 1), TODAY), st.integers(0, 1))
def test_a_kept_view_is_today_what_it_was_when_it_was_kept(first: date, ago: int) -> None:
    last = TODAY - timedelta(days=ago)
    address = {"from": min(first, last).isoformat(), "to": last.isoformat()}
    assert KeptChart(key="a", title="t", **moving(address, TODAY)).at(TODAY) == address


def test_an_id_is_made_of_the_title_and_never_taken() -> None:
    assert new_id("Weekly review: café!", ()) == "weekly-review-cafe"
    assert new_id("Weekly", ("weekly",)).startswith("weekly-")
    for title in ("周报", "<script>", "x" * 500, "---"):
        check_id("board", new_id(title, ("script", "x" * 30)))


def test_data_says_no_more_than_it_must_and_is_read_back() -> None:
    alert = make("alert", {"metric": "events", "event": "purchase", "below": 5, "for": "10m"})
    assert data_of(alert) == {"metric": "events", "event": "purchase", "below": 5.0, "for": "10m"}
    board = make("board", {"title": "b", "charts": [chart(days=7)]})
    assert data_of(board) == {"title": "b", "charts": [chart(days=7)]}
    assert make("board", data_of(board)) == board
