"""Charts: where things are drawn, and that no text of a producer becomes markup."""

from __future__ import annotations

import json
import re
from html import unescape

import pytest

from pipeline.render.bars import Flow, bar_chart, flow_chart, heat_map
from pipeline.render.chart import Line, line_chart, ticks
from pipeline.render.html import Safe, h, text


def plain(value: float | None) -> str:
    return "–" if value is None else f"{value:g}"


def test_what_is_not_ours_is_escaped() -> None:
    assert h("p", "<script>", title='a"b') == '<p title="a&quot;b">&lt;script&gt;</p>'
    assert text("a & b", Safe("<br>"), None, False, ["<", 3]) == "a &amp; b<br>&lt;3"
    evil = "<img src=x onerror=alert(1)>"
    drawn = [
        line_chart(evil, [evil], [Line(evil, [1.0])], plain),
        bar_chart(evil, [evil], [("n", [1.0])], plain),
        heat_map(evil, [evil], [evil], {(0, 0): 1.0}, plain),
        flow_chart(evil, [Flow(0, evil, evil, 2)], plain),
    ]
    assert not any("<img" in svg for svg in drawn)


def test_attributes() -> None:
    assert h("input", name="a", disabled=True, checked=False, value=None) == '<input name="a" disabled>'
    assert h("label", for_="x", data_part="y", class_="z") == '<label for="x" data-part="y" class="z"></label>'


@pytest.mark.parametrize(
    ("low", "high", "wanted"),
    [(0, 100, [0, 25, 50, 75, 100]), (0, 7, [0, 2, 4, 6, 8]), (0, 0, [0, 0.25, 0.5, 0.75, 1.0]), (-3, 5, [-4, -2, 0, 2, 4, 6])],
)  # fmt: skip
def test_marks_of_an_axis_are_round_and_hold_the_values(low: float, high: float, wanted: list[float]) -> None:
    assert ticks(low, high) == wanted


def test_a_line_with_a_gap_is_two_pieces_and_every_place_has_its_values() -> None:
    svg = line_chart("t", ["a", "b", "c", "d"], [Line("x", [1, 2, None, 4]), Line("y", [0, 0, 0, 0])], plain)
    assert len(re.findall('class="line s1"', svg)) == 1
    assert len(re.findall('class="dot s1"', svg)) == 1  # the point behind the gap stands alone
    tips = json.loads(unescape(re.search('data-tips="([^"]*)"', svg)[1]))  # type: ignore[index]
    assert tips["tips"][2] == ["c", "x: –", "y: 0"]
    assert len(tips["x"]) == 4


def bars_of(svg: str) -> list[tuple[float, float]]:
    """Where each bar begins and ends."""
    found = re.findall(r'<rect x="([0-9.]+)" y="[0-9]+" width="([0-9.]+)"', svg)
    return [(float(x), float(x) + float(width)) for x, width in found]


def test_a_negative_bar_goes_to_the_left_of_zero_and_is_as_long_as_it_is_large() -> None:
    """A net promoter score of -50 was the longest bar to the right."""
    low, high, none, unknown = bars_of(bar_chart("t", list("abcd"), [("nps", [-50.0, 25.0, 0.0, None])], plain))
    zero = high[0]
    assert low[1] == pytest.approx(zero, abs=0.1)
    assert low[0] < zero < high[1]
    assert zero - low[0] == pytest.approx(2 * (high[1] - zero), rel=0.01)
    assert none == (zero, zero + 1)
    assert unknown == (zero, zero)
    svg = bar_chart("t", ["a"], [("nps", [-50.0])], plain)
    assert re.search(r'<text x="[0-9.]+" y="20" text-anchor="end">-50</text>', svg)


@pytest.mark.parametrize("values", [[-50.0, -10.0], [-1e9, 1.0], [5.0, 1.0], [0.0, 0.0]])
@pytest.mark.parametrize("width", [350, 760])
def test_bars_and_their_numbers_stay_within_the_picture(values: list[float], width: int) -> None:
    svg = bar_chart("t", ["a long name of a thing", "b"], [("n", values)], plain, width=width)
    assert all(0 <= x <= end <= width for x, end in bars_of(svg))
    places = [float(x) for x in re.findall(r'<text x="([0-9.-]+)"', svg)]
    assert all(0 <= x <= width for x in places)
    # The number of a bar that goes to the left ends beside it: it must not stand on the names.
    names = {float(x) for x in re.findall(r'<text x="([0-9.]+)" y="[0-9.]+" text-anchor="end">[^<]*<title>', svg)}
    numbers = re.findall(r'<text x="([0-9.]+)" y="[0-9.]+" text-anchor="end">(-[^<]+)</text>', svg)
    assert (len(names), len(numbers)) == (1, sum(value < 0 for value in values))
    assert all(float(x) - 6.5 * len(number) > max(names) for x, number in numbers)


def test_users_that_flow_in_and_out_are_drawn_as_wide_as_they_are_many() -> None:
    flows = [Flow(0, "view", "cart", 30), Flow(0, "view", "leave", 10), Flow(1, "cart", "pay", 15)]
    svg = flow_chart("paths", flows, plain)
    widths = sorted(float(w) for w in re.findall('stroke-width="([0-9.]+)"', svg))
    assert widths[0] / widths[2] == pytest.approx(10 / 30, rel=0.02)
    assert widths[1] / widths[2] == pytest.approx(15 / 30, rel=0.02)
    assert "view → cart: 30" in svg
    assert "cart → pay: 15" in svg
