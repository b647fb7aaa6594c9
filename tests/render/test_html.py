"""HTML from calls, and the marks of an axis."""

from __future__ import annotations

import pytest

from pipeline.render.chart import ticks
from pipeline.render.html import Safe, h, text


def test_what_is_not_ours_is_escaped() -> None:
    assert h("p", "<script>", title='a"b') == '<p title="a&quot;b">&lt;script&gt;</p>'
    assert text("a & b", Safe("<br>"), None, False, ["<", 3]) == "a &amp; b<br>&lt;3"


def test_attributes() -> None:
    assert h("input", name="a", disabled=True, checked=False, value=None) == '<input name="a" disabled>'
    assert h("label", for_="x", data_part="y", class_="z") == '<label for="x" data-part="y" class="z"></label>'


@pytest.mark.parametrize(
    ("low", "high", "wanted"),
    [(0, 100, [0, 25, 50, 75, 100]), (0, 7, [0, 2, 4, 6, 8]), (0, 0, [0, 0.25, 0.5, 0.75, 1.0]), (-3, 5, [-4, -2, 0, 2, 4, 6])],
)  # fmt: skip
def test_marks_of_an_axis_are_round_and_hold_the_values(low: float, high: float, wanted: list[float]) -> None:
    assert ticks(low, high) == wanted
