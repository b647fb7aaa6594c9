"""The description of a chart: what it holds is what was given, and no text of a producer is more than data."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.render.chart import Line
from pipeline.render.language import Language
from pipeline.render.vega import Annotation, Chart, Flow, bars, flows, funnel, heat, lines

EN, ZH = Language("en"), Language("zh")
EVIL = "</script><img src=x onerror=alert(1)>'] || datum.y + \"\\"


def plain(value: float | None) -> str:
    return "–" if value is None else f"{value:g}"


def values(chart: Chart, *names: str) -> list[tuple[Any, ...]]:
    """What is drawn, read back from the description."""
    return [tuple(row.get(name) for name in names) for row in json.loads(json.dumps(chart.rows()))]


def parameter(chart: Chart, name: str) -> Any:
    return next(p["value"] for p in chart.spec["params"] if p["name"] == name)


def encoded(chart: Chart, channel: str) -> list[dict[str, Any]]:
    return [layer["encoding"][channel] for layer in chart.spec["layer"] if channel in layer["encoding"]]


def test_lines_hold_each_value_and_its_words() -> None:
    chart = lines("Users", ["Nov 1", "Nov 2"], [Line("ios", [12_345.0, -3.0]), Line("web", [None, 0.0])], EN.compact)
    assert values(chart, "x", "s", "y", "said") == [
        (0, "s1", 12345.0, "12.3K"), (1, "s1", -3.0, "-3"), (0, "s2", None, "–"), (1, "s2", 0.0, "0"),
    ]  # fmt: skip
    assert chart.names == ["ios", "web"]
    assert parameter(chart, "places") == ["Nov 1", "Nov 2"]
    assert chart.spec["description"] == "Users"


def test_an_axis_has_our_words_and_goes_below_zero() -> None:
    chart = lines("t", ["a", "b"], [Line("x", [-30_000.0, 50_000.0])], ZH.compact)
    assert parameter(chart, "marks") == [-40_000, -20_000, 0, 20_000, 40_000, 60_000]
    assert parameter(chart, "marked") == ["-4.00万", "-2.00万", "0", "2.00万", "4.00万", "6.00万"]
    assert encoded(chart, "y")[0]["scale"] == {"type": "linear", "domain": [-40_000, 60_000], "nice": False}


def test_an_axis_of_values_below_zero_ends_at_zero() -> None:
    chart = lines("t", ["a", "b"], [Line("x", [-30.0, -10.0])], plain)
    assert encoded(chart, "y")[0]["scale"]["domain"] == [-30, 0]


def test_a_gap_stays_a_gap_and_a_point_between_two_is_told_apart() -> None:
    chart = lines("t", list("abcd"), [Line("x", [1, math.nan, 3, None])], plain)
    assert values(chart, "y", "alone", "said") == [(1, True, "1"), (None, None, "–"), (3, True, "3"), (None, None, "–")]


@pytest.mark.parametrize(("places", "series", "shown"), [([], [], 0), (["a"], [Line("x", [7.0])], 1), (["a"], [Line("x", [None])], 0)])  # fmt: skip
def test_nothing_and_one_point(places: list[str], series: list[Line], shown: int) -> None:
    chart = lines("t", places, series, plain)
    assert len([row for row in chart.rows() if row["y"] is not None]) == shown
    assert (parameter(chart, "from_"), parameter(chart, "to_")) == (-0.5, 0.5)


def test_ten_thousand_points_are_all_there() -> None:
    chart = lines("t", [str(k) for k in range(10_000)], [Line("x", [float(k) for k in range(10_000)])], plain)
    assert [y for (y,) in values(chart, "y")] == [float(k) for k in range(10_000)]


def test_a_logarithmic_axis_has_powers_of_ten_and_says_what_it_leaves_out() -> None:
    chart = lines("t", list("abcd"), [Line("x", [0.0, 3.0, 25_000.0, -1.0])], plain, log=True)
    assert encoded(chart, "y")[0]["scale"]["type"] == "log"
    assert parameter(chart, "marks") == [1, 10, 100, 1_000, 10_000, 100_000]
    assert [y for (y,) in values(chart, "y")] == [None, 3.0, 25_000.0, None]
    assert chart.left_out == 2
    assert encoded(lines("t", ["a"], [Line("x", [0.0])], plain, log=True), "y")[0]["scale"]["type"] == "linear"


def test_more_lines_than_can_be_told_apart_are_left_to_the_table() -> None:
    chart = lines("t", ["a"], [Line(str(k), [float(k)]) for k in range(9)], plain)
    assert chart.names == ["0", "1", "2", "3", "4", "5"]
    assert len(chart.rows()) == 6


def test_annotations_stand_at_their_places() -> None:
    chart = lines("t", ["a", "b"], [Line("x", [1, 2])], plain, annotations=[Annotation(1, "release 2.0")])
    assert [layer["data"]["values"] for layer in chart.spec["layer"] if "data" in layer] == [[{"x": 1, "text": "release 2.0"}]] * 2  # fmt: skip


def test_bars_go_to_both_sides_of_zero() -> None:
    chart = bars("NPS", ["ios", "web"], [("nps", [-50.0, 25.0]), ("before", [None, 0.0])], plain)
    assert values(chart, "n", "s", "y", "said", "below") == [
        (0, "s1", -50.0, "-50", True), (1, "s1", 25.0, "25", False), (0, "s2", None, "–", False), (1, "s2", 0.0, "0", False),
    ]  # fmt: skip
    # On both sides room for the words at the ends of the bars, however narrow the screen is.
    scale = encoded(chart, "x")[0]["scale"]
    assert scale == {"domain": [-50.0, 25.0], "range": [33, {"expr": "width - 33"}], "nice": False}
    assert values(chart, "tip")[0] == ("ios: nps: -50",)


@pytest.mark.parametrize("wrong", [math.inf, -math.inf, math.nan])
def test_what_is_no_number_is_not_drawn(wrong: float) -> None:
    assert values(lines("t", ["a"], [Line("x", [wrong])], EN.number), "y", "said") == [(None, "–")]
    assert values(bars("t", ["a"], [("x", [wrong])], EN.number), "y", "said") == [(None, "–")]
    assert values(heat("t", ["a"], ["b"], {(0, 0): wrong}, EN.number), "y", "said") == [(None, "–")]


def test_a_funnel_has_the_share_of_its_first_step() -> None:
    chart = funnel("f", ["look", "cart", "buy"], [200, 50, 0], plain, lambda v: EN.percent(v, 0))
    assert values(chart, "from", "to", "said") == [
        (-100, 100, "200 (100 %)"),
        (-25, 25, "50 (25 %)"),
        (0, 0, "0 (0 %)"),
    ]
    assert values(funnel("f", ["look"], [0], plain, EN.percent), "said") == [("0 (–)",)]
    assert funnel("f", [], [], plain, EN.percent).rows() == []


def test_cells_are_as_strong_as_they_are_large_and_can_be_read() -> None:
    chart = heat(
        "r", ["0", "1"], ["Nov 1"], {(0, 0): 1.0, (0, 1): 0.25}, EN.percent, before=["1,234"], before_title="users"
    )
    assert values(chart, "n", "x", "y", "said") == [(0, 0, 1.0, "100.0 %"), (0, 1, 0.25, "25.0 %")]
    strong, weak = values(chart, "opacity", "strong")
    assert strong == (1.0, True)
    assert weak == (0.212, False)
    assert parameter(chart, "names") == ["Nov 1 · 1,234 users"]


def test_bands_are_as_wide_as_the_users_in_them() -> None:
    chart = flows("p", [Flow(0, "view", "cart", 30), Flow(0, "view", "leave", 10), Flow(1, "cart", "pay", 15)], plain)
    assert values(chart, "name", "users") == [("view", 40), ("cart", 30), ("leave", 10), ("pay", 15)]
    bands = chart.spec["layer"][0]["data"]["values"]
    assert {band["tip"]: round(band["y2"] - band["y"], 3) for band in bands} == {
        "view → cart: 30": 30, "view → leave: 10": 10, "cart → pay: 15": 15,
    }  # fmt: skip
    assert flows("p", [], plain).rows() == []


def drawn_of(text: str) -> list[Chart]:
    return [
        lines(text, [text], [Line(text, [1.0])], plain, annotations=[Annotation(0, text)]),
        bars(text, [text], [(text, [1.0])], plain),
        funnel(text, [text], [1], plain, plain),
        heat(text, [text], [text], {(0, 0): 1.0}, plain, before=[text], before_title=text),
        flows(text, [Flow(0, text, text, 2)], plain),
    ]


def expressions(value: Any, key: str = "") -> list[str]:
    """Everything in a description that Vega reads as code, or as the name of a field."""
    if isinstance(value, dict):
        return [found for k, v in value.items() if k not in ("values", "value") for found in expressions(v, k)]
    if isinstance(value, list):
        return [found for v in value for found in expressions(v, key)]
    return [value] if key in ("filter", "test", "expr", "labelExpr", "calculate", "field", "as", "name") else []


def test_no_text_of_a_stranger_is_code() -> None:
    for evil, harmless in zip(drawn_of(EVIL), drawn_of("a"), strict=True):
        assert expressions(evil.spec) == expressions(harmless.spec)


@given(st.lists(st.one_of(st.none(), st.floats()), min_size=1, max_size=8), st.booleans())
def test_what_is_drawn_is_what_was_given_and_within_its_axis(given_: list[float | None], log: bool) -> None:
    chart = lines("t", [str(k) for k in range(len(given_))], [Line("x", given_)], EN.compact, log=log)
    scale = encoded(chart, "y")[0]["scale"]
    low, high = scale["domain"]
    room = (high - low) * 1e-9
    assert low < high
    for row, value in zip(chart.rows(), given_, strict=True):
        fits = value is not None and abs(value) < 1e300 and (value > 1e-300 or scale["type"] == "linear")
        assert row["y"] == (value if fits else None)
        assert row["y"] is None or low - room <= row["y"] <= high + room
    json.dumps(chart.spec, allow_nan=False)
