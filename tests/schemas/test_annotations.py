"""Annotations of a plan: moments in its time zone, one line of text; they change nothing of what is counted."""

from __future__ import annotations

import pytest

from schemas.plan_io import PlanError, parse_plan

PLAN = "product: p\ntimezone: Asia/Shanghai\nevents: {a: }\n"


def test_a_moment_is_of_the_plans_zone_unless_it_says_another() -> None:
    plan = parse_plan(
        PLAN + 'annotations:\n- {at: "2026-11-20T14:00", text: App 2.4}\n'
        '- {at: "2026-11-20", text: 双十一, kind: campaign}\n'
        '- {at: "2026-11-20T14:00+00:00", text: of UTC}\n'
    )  # fmt: skip
    moments = [one.moment(plan.zone) for one in plan.annotations]
    assert moments == [1_795_154_400_000, 1_795_104_000_000, 1_795_183_200_000]
    assert plan.digest == parse_plan(PLAN).digest


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (
            "{at: yesterday, text: x}",
            "line 5: annotations.0.at: 'yesterday' is no moment: write 2026-11-20T14:00, or a day",
        ),
        ('{at: "1066-10-14", text: x}', "line 5: annotations.0.at: '1066-10-14': a year from 1971 to 2148"),
        ('{at: "2026-11-20", text: " "}', "line 5: annotations.0.text: say what happened"),
        (
            '{at: "2026-11-20", text: "a\\nb"}',
            "line 5: annotations.0.text: 'a\\nb': a line break at position 2 can't stand here",
        ),
        (
            "{at: 2026-11-20, text: x}",
            'line 5: annotations.0.at: 2026-11-20 is read as a date: put it in quotes: "2026-11-20"',
        ),
    ],
)
def test_what_is_no_annotation_is_said_with_its_line(written: str, said: str) -> None:
    with pytest.raises(PlanError) as caught:
        parse_plan(f"{PLAN}annotations:\n- {written}\n", "plan.yaml")
    assert str(caught.value) == f"plan.yaml: {said}"
