"""What people give to a metric, and what is taken for the rest."""

from __future__ import annotations

from datetime import date

import pytest

from metrics.world import PLAN
from pipeline.errors import UserError
from pipeline.metrics.arguments import arguments_for, written
from pipeline.metrics.metric import Metric, MetricChart, Parameter
from pipeline.metrics.registry import metric

TODAY = date(2026, 12, 1)
METRIC = Metric(
    "things", "activity", "", "", "", "",
    (
        Parameter("from", "Date", "today - 29", ""),
        Parameter("to", "Date", "today", ""),
        Parameter("compare_from", "Date", "before from", ""),
        Parameter("compare_to", "Date", "before to", ""),
        Parameter("period", "String", "day", "", ("day", "week")),
        Parameter("days", "Array(UInt16)", "[1, 3, 7]", ""),
        Parameter("steps", "Array(String)", "funnel steps", ""),
        Parameter("within", "UInt64", "funnel window", ""),
        Parameter("dimension", "String", "''", ""),
        Parameter("share", "Float64", "0.5", ""),
    ),
    "", "", MetricChart("table"), "",
)  # fmt: skip


def test_defaults() -> None:
    assert arguments_for(METRIC, {}, PLAN, TODAY) == {
        "from": date(2026, 11, 2), "to": TODAY, "compare_from": date(2026, 10, 3), "compare_to": date(2026, 11, 1),
        "period": "day", "days": [1, 3, 7], "steps": ["look", "cart", "buy"], "within": 86_400, "dimension": "",
        "share": 0.5,
    }  # fmt: skip


def test_given_as_text() -> None:
    given = {"from": "2026-11-30", "period": "week", "days": "1,30", "steps": "look, buy", "dimension": "platform"}
    found = arguments_for(METRIC, given, PLAN, TODAY)
    assert (found["compare_from"], found["compare_to"]) == (date(2026, 11, 28), date(2026, 11, 29))
    assert (found["days"], found["steps"], found["dimension"]) == ([1, 30], ["look", "buy"], "platform")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"form": "x"}, "things has no parameter form: did you mean from?; it has from, to"),
        ({"from": "30.11.2026"}, "things: from is a day like 2026-11-30, not '30.11.2026'"),
        ({"from": "2026-12-02"}, "things: from (2026-12-02) is later than to (2026-12-01)"),
        ({"period": "year"}, "things: period is one of day, week, not 'year'"),
        ({"days": "1,-2"}, "things: days is a whole number that fits UInt16, not '-2'"),
        ({"within": "1h"}, "things: within is a whole number, not '1h'"),
        ({"share": "much"}, "things: share is a number, not 'much'"),
        ({"dimension": "colour"}, "dimension: 'colour' is neither a field"),
    ],
)
def test_one_clear_line(given: dict[str, str], message: str) -> None:
    with pytest.raises(UserError) as raised:
        arguments_for(METRIC, given, PLAN, TODAY)
    assert str(raised.value).startswith(message)


def test_an_unknown_metric() -> None:
    with pytest.raises(UserError, match="there is no metric active_users_dayly: did you mean active_users_daily"):
        metric("active_users_dayly")


@pytest.mark.parametrize(
    "steps",
    [["look", "buy"], ["a,b", "c"], ["[x]", "y"], ["it's", "'q'"], ['say "hi"', "支付成功"],
     ["Sign Up (Google)"], ["{x:String}", "%s"]],
    ids=str,
)  # fmt: skip
def test_a_list_of_any_names_survives_a_form_and_an_address(steps: list[str]) -> None:
    found = arguments_for(METRIC, {"from": "2026-11-30", "steps": written(steps)}, PLAN, TODAY)
    assert found["steps"] == steps
