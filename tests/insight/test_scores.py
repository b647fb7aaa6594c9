"""The scorecard's figures from literal rows of metrics."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from pipeline.insight.scores import FIGURES, Score, met
from pipeline.metrics import arguments_for, metrics
from schemas.plan_io import load_plan, parse_plan
from schemas.scorecard import STAGES

TODAY = date(2026, 11, 25)  # a Wednesday


def day(back: int) -> date:
    return TODAY - timedelta(days=back)


def read(name: str, *found: list[dict[str, Any]]) -> Score:
    return FIGURES[name].read(found, TODAY, "search")


def test_there_is_a_figure_for_each_name_of_each_stage_and_its_arguments_are_the_metrics() -> None:
    assert sorted(FIGURES) == sorted(name for names in STAGES.values() for name in names)
    plan = load_plan("shop")
    for name, figure in FIGURES.items():
        metric = metrics()[figure.metric]
        for run in figure.runs(TODAY, "search"):
            given = arguments_for(metric, run, plan, TODAY)
            assert given["to"] < TODAY, f"{name}: today is not over"


def test_new_users_of_a_week_against_the_week_before() -> None:
    rows = [{"day": day(k), "new": 10 if k <= 7 else 4} for k in range(1, 15)]
    assert read("new_users", [*rows, *rows]) == Score(140, 56)
    assert read("new_users", rows[:7]) == Score(70, None)
    assert read("new_users", []) == Score(0, None)


def test_cost_is_all_spend_over_all_who_came() -> None:
    rows = [{"spend": 100.0, "new_users": 10}, {"spend": None, "new_users": 40}]
    assert read("cac", rows, [{"spend": None, "new_users": 5}]) == Score(2.0, None)


def test_rates_are_those_of_sums_and_days_without_their_time_do_not_count() -> None:
    rows = [
        {"day": day(8), "users": 100, "activated": 10}, {"day": day(14), "users": 1, "activated": 1},
        {"day": day(15), "users": 50, "activated": 10}, {"day": day(9), "users": 70, "activated": None},
    ]  # fmt: skip
    found = read("activation", rows)
    assert found.now == pytest.approx(11 / 101)
    assert found.before == pytest.approx(0.2)
    cohorts = [
        {"cohort": day(8), "n": 7, "users": 10, "classic": 5, "whole": 1}, {"cohort": day(8), "n": 6, "users": 10, "classic": 9, "whole": 1},
        {"cohort": day(9), "n": 7, "users": 30, "classic": 3, "whole": 1}, {"cohort": day(15), "n": 7, "users": 4, "classic": 1, "whole": 1},
        {"cohort": day(7), "n": 7, "users": 4, "classic": 4, "whole": 0},
    ]  # fmt: skip
    assert read("retention", cohorts) == Score(0.2, 0.25)


def test_activity_is_days_over_months() -> None:
    rows = [{"day": day(k), "dau": k, "mau": 100} for k in range(1, 15)]
    found = read("activity", rows)
    assert found.now == pytest.approx(sum(range(1, 8)) / 700)
    assert found.before == pytest.approx(sum(range(8, 15)) / 700)


def test_an_event_that_nobody_did_has_no_penetration() -> None:
    rows = [{"event": "search", "penetration": 0.5}, {"event": "buy", "penetration": 0.1}]
    assert read("penetration", rows, rows[1:]) == Score(0.5, 0.0)
    assert read("penetration", [], rows) == Score(None, 0.5)


def test_money_is_of_the_last_whole_week() -> None:
    rows = [
        {"period": date(2026, 11, 9), "arpu": 2.0, "paying_rate": 0.1},
        {"period": date(2026, 11, 16), "arpu": 3.0, "paying_rate": None},
    ]
    assert read("arpu", rows) == Score(3.0, 2.0)
    assert read("paying_rate", rows) == Score(None, 0.1)


def test_ltv_over_cac_is_of_what_was_paid_for() -> None:
    rows = [{"ltv": 6.0, "new_users": 10, "spend": 20.0}, {"ltv": 99.0, "new_users": 10, "spend": None}]
    assert read("ltv_cac", rows, []) == Score(3.0, None)


def test_recommendation_is_of_four_whole_weeks() -> None:
    rows = [{"period": date(2026, 11, 16), "answers": 10, "promoters": 6, "detractors": 1},
            {"period": date(2026, 10, 26), "answers": 10, "promoters": 0, "detractors": 5},
            {"period": date(2026, 10, 19), "answers": 4, "promoters": 4, "detractors": 0}]  # fmt: skip
    assert read("nps", rows) == Score(0.0, 100.0)


@pytest.mark.parametrize(
    ("name", "now", "target", "said"),
    [("cac", 4.0, 5.0, True), ("cac", 6.0, 5.0, False), ("retention", 0.2, 0.2, True), ("retention", 0.1, 0.2, False),
     ("nps", None, 5.0, None), ("nps", 5.0, None, None)],
)  # fmt: skip
def test_of_a_cost_less_is_better(name: str, now: float | None, target: float | None, said: bool | None) -> None:
    assert met(FIGURES[name], now, target) is said


PLAN = "product: P\nevents: {open: , search: }\n"


@pytest.mark.parametrize(
    ("card", "mistake"),
    [
        ("{stage: late}", "'early', 'growth' or 'mature'"),
        ("{targets: {dau: 5}}", "there is no figure 'dau': there are new_users, cac, activation,"),
        ("{targets: {retention: 40}}", "retention is a share of people: write it like 40%"),
        ("{targets: {cac: -1}}", "cac is never below 0"),
        ("{targets: {nps: 101}}", "nps is between -100 and 100"),
        ("{targets: {cac: .nan}}", "cac: .nan is read as"),
        ("{targets: {cac: cheap}}", "valid number"),
        ("{feature: serach}", "the event 'serach' is not among this plan's events"),
        ("{tragets: {}}", "tragets"),
    ],
)
def test_a_plan_with_a_wrong_scorecard_is_refused(card: str, mistake: str) -> None:
    with pytest.raises(Exception, match=mistake):
        parse_plan(f"{PLAN}scorecard: {card}\n")


def test_targets_change_nothing_of_how_records_are_counted() -> None:
    plain, aimed = (
        parse_plan(PLAN),
        parse_plan(f"{PLAN}scorecard: {{stage: mature, targets: {{retention: 40%, nps: -5}}}}\n"),
    )
    assert plain.digest == aimed.digest
    assert aimed.scorecard is not None
    assert aimed.scorecard.targets == {"retention": 0.4, "nps": -5}
