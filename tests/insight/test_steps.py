"""Where a funnel loses most, and which of its steps fell."""

from __future__ import annotations

from pipeline.insight.model import FunnelFacts
from pipeline.insight.sentences import worst
from pipeline.insight.steps import fallen_step, worst_step
from pipeline.render.language import Language


def test_the_step_that_loses_the_largest_share_is_the_worst() -> None:
    assert worst_step([1000, 600, 60, 50]) == 2
    assert worst_step([1000, 500, 250]) == 1  # of two alike the first
    assert worst_step([1000, 600, 29, 1]) == 2  # 29 are too few to say what becomes of them


def test_few_users_are_no_reason_to_point_anywhere() -> None:
    assert worst_step([29, 1, 0]) is None
    assert worst_step([0, 0]) is None
    assert worst_step([]) is None


def test_the_report_points_to_the_same_step() -> None:
    said = worst(Language("en"), FunnelFacts("f", ("a", "b", "c"), (1000, 600, 60), (0, 0, 0)))
    assert said.startswith("Most are lost at b → c: 10.0 % go on (60 of 600).")
    few = worst(Language("en"), FunnelFacts("f", ("a", "b"), (29, 1), (0, 0)))
    assert few == "Too few users to say where most are lost."


def test_the_step_that_fell() -> None:
    assert fallen_step([1000, 500, 200], [1000, 500, 300]) == 2
    assert fallen_step([1000, 500, 300], [1000, 500, 200]) is None  # it rose
    assert fallen_step([100, 55], [100, 60]) is None  # within chance
    assert fallen_step([100_000, 59_000], [100_000, 60_000]) is None  # sure, and too small to matter
    assert fallen_step([29, 1], [1000, 900]) is None  # too few
