"""A chart in a page and as a picture: no text of a producer becomes markup, and both draw the same description."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from typing import Any

import pytest
import vl_convert
from described import descriptions

from pipeline.render.chart import Line
from pipeline.render.figure import figure
from pipeline.render.language import Language
from pipeline.render.svg import alone, svg
from pipeline.render.vega import Annotation, Chart, Flow, bars, flows, funnel, heat, lines

EN = Language("en")
EVIL = "</script><img src=x onerror=alert(1)><!--\u2028\"'] || 1"


def all_of(text: str) -> list[Chart]:
    """One of each kind, with that text wherever a text can be."""
    noted = [Annotation(1, text)]
    return [
        lines(text, [text, "b"], [Line(text, [1.0, 2.0]), Line("x", [None, -3.0])], EN.number, annotations=noted),
        bars(text, [text], [(text, [1.0])], EN.number),
        funnel(text, [text], [1], EN.number, EN.percent),
        heat(text, [text], [text], {(0, 0): 1.0}, EN.number, before=[text], before_title=text),
        flows(text, [Flow(0, text, "b", 2)], EN.number),
    ]


ALL = all_of(EVIL)


@pytest.mark.parametrize("chart", ALL)
def test_what_is_not_ours_stays_text(chart: Chart) -> None:
    page = figure(EN, chart)
    assert "<img" not in page
    assert page.count("</script>") == 1
    assert descriptions(page)[0]["spec"]["description"] == EVIL
    drawn = svg(chart)
    assert "<img" not in drawn
    assert EVIL[:20] in "".join(ET.fromstring(drawn).itertext())


def code(value: Any, key: str = "") -> list[str]:
    """Every string of compiled Vega but for data and the title."""
    if isinstance(value, dict):
        return [
            found
            for k, v in sorted(value.items())
            if k not in ("values", "value", "description")
            for found in code(v, k)
        ]
    if isinstance(value, list):
        return [found for v in value for found in code(v, key)]
    return [value] if isinstance(value, str) else []


@pytest.mark.parametrize("evil", ["'] || 1", '" + datum.y + "', "\\", "names[0]", "${x}"])
def test_no_text_of_a_stranger_is_code_when_it_is_compiled(evil: str) -> None:
    """Vega-Lite writes the title of an axis into an expression as it is."""
    for chart, harmless in zip(all_of(evil), all_of("a"), strict=True):
        compiled = [vl_convert.vegalite_to_vega(found.spec | {"width": 300}) for found in (chart, harmless)]
        assert code(compiled[0]) == code(compiled[1])


EMPTY = [
    lines("t", [], [], EN.number),
    lines("t", ["a"], [Line("x", [None])], EN.number),
    lines("t", ["a"], [Line("x", [0.0])], EN.number, log=True),
    bars("t", [], [], EN.number),
    bars("t", ["a"], [("x", [None])], EN.number),
    funnel("t", [], [], EN.number, EN.percent),
    funnel("t", ["a"], [0], EN.number, EN.percent),
    heat("t", [], [], {}, EN.number),
    heat("t", ["a"], ["b"], {(0, 0): 0.0}, EN.number),
    flows("t", [], EN.number),
    flows("t", [Flow(0, "a", "b", 0)], EN.number),
]


@pytest.mark.parametrize("chart", [*ALL, *EMPTY])
@pytest.mark.parametrize("width", [350, 760])
def test_each_can_be_drawn(chart: Chart, width: int) -> None:
    drawn = ET.fromstring(svg(chart, width))
    assert "NaN" not in svg(chart, width)
    if chart.width is None:
        assert drawn.get("width") == str(max(width, chart.least))


def test_bars_meet_at_zero_and_are_as_long_as_they_are_large() -> None:
    """A net promoter score of -50 was the longest bar to the right."""
    drawn = ET.fromstring(svg(bars("nps", ["ios", "web"], [("nps", [-50.0, 25.0])], EN.number)))
    places = [
        re.match(r"M([0-9.]+),[0-9.]+h([0-9.]+)v", path.get("d") or "")
        for path in drawn.iter("{http://www.w3.org/2000/svg}path") if path.get("fill") == "var(--s1)"
    ]  # fmt: skip
    (low, low_wide), (high, high_wide) = ((float(place[1]), float(place[2])) for place in places if place)
    assert low + low_wide == pytest.approx(high, abs=0.1)
    assert low_wide == pytest.approx(2 * high_wide, rel=0.01)


def test_alone_it_has_its_colours_in_it() -> None:
    words = 'a"var(--ink)'
    made = alone(svg(lines("t", ["a", "b"], [Line("x", [1.0, 2.0])], EN.number, annotations=[Annotation(0, words)])))
    assert '="var(' not in made
    assert "#0072b2" in made
    assert words in "".join(ET.fromstring(made).itertext())
