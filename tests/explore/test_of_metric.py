"""Numbers of the catalogue's metrics lead to the people behind them, who are as many as the number says."""

from __future__ import annotations

import re
from collections import Counter
from datetime import date, timedelta
from html import unescape
from typing import Any
from urllib.parse import parse_qsl

import pytest
from dashboard.drawn import cells, drawn, words
from metrics.side_tables import put
from metrics.world import PLAN, World, event

from explore.asking import people, scope
from explore.business_metrics import BUSINESS_ASKED, BUSINESS_FILTERED, business_events
from explore.test_by_another_way import FIRST, LAST, Done
from explore.test_by_another_way import drawn as people_of
from pipeline.dashboard.pages import behind, groups
from pipeline.errors import UserError
from pipeline.explore.address import read_cell, read_with_people
from pipeline.explore.filters import make_filter
from pipeline.explore.given import AddressReader
from pipeline.explore.of_metric import people_behind
from pipeline.explore.people import people_sql
from pipeline.explore.people_business import BUSINESS
from pipeline.explore.question import Scope
from pipeline.explore.written import write
from pipeline.metrics import arguments_for, metrics, run
from schemas.side_tables import Campaign, Spend

#: Arguments besides the days, and the columns whose numbers lead to people.
ASKED: list[tuple[str, dict[str, Any], set[str]]] = [
    ("active_users_daily", {}, {"users"}),
    ("active_users", {}, {"dau", "wau", "mau"}),
    ("active_users_calendar", {"period": "week"}, {"users"}),
    ("active_users_calendar", {"period": "month"}, {"users"}),
    ("active_users_by", {"dimension": "platform"}, {"users"}),
    ("active_users_by", {"dimension": "properties.price"}, set()),
    ("feature_penetration", {}, {"users"}),
    ("funnel", {"steps": ["look", "cart", "buy"], "within": 86_400}, {"users", "dropped"}),
    ("funnel", {"steps": ["look"], "within": 86_400}, set()),
    ("funnel_by", {"steps": ["look", "cart", "buy"], "within": 600, "dimension": "platform"}, {"users"}),
    ("retention", {"period": "day"}, {"users", "classic", "rolling"}),
    ("retention", {"period": "week"}, {"users", "classic", "rolling"}),
    ("retention", {"period": "month"}, {"users", "classic", "rolling"}),
    ("user_lifecycle", {}, {"new", "returning", "resurrected", "dormant"}),
    ("churn", {"period": "day"}, {"users_before", "churned"}),
    ("churn", {"period": "week"}, {"users_before", "churned"}),
    ("churn", {"period": "month"}, {"users_before", "churned"}),
    ("new_users", {}, {"new", "registered"}),
    ("retention_by", {"days": [0, 1, 3], "dimension": "platform"}, {"users", "classic", "rolling"}),
    ("retention_by", {"days": [1], "dimension": "properties.page"}, {"users", "classic", "rolling"}),
    (
        "retention_by",
        {"days": [1, 7], "return_event": "buy", "until": date(2026, 11, 8)},
        {"users", "classic", "rolling"},
    ),
    ("experiment_results", {}, {"users", "converted"}),
    ("experiment_results", {"experiment": "page", "goal": "cart"}, {"users", "converted"}),
    ("experiment_allocation", {}, {"users", "also_in_another"}),
    ("campaign_results", {"until": LAST}, {"participants", "buyers", "compared_users"}),
    ("campaign_results", {"until": date(2026, 11, 4)}, {"participants", "buyers", "compared_users"}),
    ("revenue", {"period": "week"}, {"buyers", "active_users"}),
    ("paths_from", {"start": "look", "depth": 2}, {"users"}),
    ("paths_to", {"target": "buy", "depth": 2}, {"users"}),
    ("paths_to", {"target": "buy", "depth": 2, "collapse": 0}, set()),
    ("retention_bracket", {"starts": [0, 1, 4], "dimension": "platform"}, {"users", "active"}),
    ("active_days_distribution", {}, {"users"}),
    ("acquisition_by_channel", {"days": 3, "until": LAST}, {"users", "registered", "activated", "paid"}),
    ("acquisition_by_channel", {"days": 3, "by_campaign": 1}, {"users", "registered", "activated", "paid"}),
    ("acquisition_cost", {}, {"new_users", "registered", "paying"}),
    ("acquisition_cost", {"by_campaign": 1}, {"new_users", "registered", "paying"}),
    ("channel_quality", {"days": 2}, {"new_users"}),
    ("ltv_cac", {"days": 2}, {"new_users"}),
    ("payback", {"days": 2, "until": date(2026, 12, 1)}, {"users"}),
    ("ltv", {"period": "day"}, {"users"}),
    ("ltv", {"period": "week"}, {"users"}),
    ("activation", {"days": 3}, {"users", "activated"}),
    ("activation_time", {"until": date(2026, 12, 1)}, {"users"}),
    ("onboarding", {"days": 3, "until": date(2026, 12, 1)}, {"joined", "users"}),
    ("conversion_time", {"steps": ["look", "cart"], "within": 86_400}, {"users"}),
    (
        "funnel_compare",
        {
            "steps": ["look", "cart"],
            "within": 600,
            "compare_from": FIRST,
            "compare_to": FIRST + timedelta(days=2),
            "from": FIRST + timedelta(days=3),
            "to": FIRST + timedelta(days=5),
            "until": date(2026, 12, 1),
        },
        {"users", "compare_users"},
    ),
    ("instead_of", {"step": "look", "next": "buy"}, {"users"}),
    ("transitions", {}, {"users"}),
    ("transitions", {"collapse": 0}, {"users"}),
    ("segments", {}, set()),
    ("buyers", {}, set()),
    *BUSINESS_ASKED,
]
#: Of these also under a filter.
FILTERED = (
    "retention", "revenue", "active_users", "paths_from", "churn", "new_users", "retention_by", "experiment_results",
    "experiment_allocation", "campaign_results", "acquisition_by_channel", "acquisition_cost", "onboarding",
    "funnel_compare", *BUSINESS_FILTERED,
)  # fmt: skip
#: Cells of a column that are looked behind: each costs a question.
LOOKED_AT = 2


@pytest.fixture
async def done(world: World) -> list[Done]:
    found = people_of(31, 40)
    joined = {e.person: min(o.at for o in found if o.person == e.person) for e in found}
    await world.tell(
        [
            *(event(person, "join", at.isoformat(), platform="ios", channel="ads") for person, at in joined.items()),
            *(event(e.person, e.name, e.at.isoformat(), {"amount": 5}, platform=e.platform) for e in found),
            *[
                event(e.person, "see", e.at.isoformat(), {"experiment": name, "variant": "ab"[k % 3 == 0]},
                      channel="ads" if k % 2 else "", platform=e.platform)
                for k, e in enumerate(found) for name in ("page", "price")[: 1 + k % 2] if k % 4 == 0
            ],
            *(event(e.person, "joinsale", e.at.isoformat(), {"sale": ("sale", "check-in")[k % 2]}, platform=e.platform,
                    campaign="" if k % 6 else "spring")
              for k, e in enumerate(found) if k % 3 == 0),
            *business_events(found),
            # Long away: dormant within the days, the second back after it.
            event("gone", "look", f"{FIRST - timedelta(days=25)} 10:00", platform="ios"),
            event("back", "look", f"{FIRST - timedelta(days=25)} 10:00", platform="ios"),
            event("back", "look", f"{FIRST + timedelta(days=6)} 10:00", platform="ios"),
        ]
    )  # fmt: skip
    await put(
        world,
        Campaign(name="sale", starts=date(2026, 10, 28), ends=date(2026, 11, 2), comparison="others"),
        Campaign(name="check-in", starts=date(2026, 11, 3), ends=date(2026, 11, 7), comparison="before"),
        Spend.model_validate({"day": "2026-11-02", "channel": "ads", "amount": "10"}),
    )
    return found


@pytest.mark.parametrize(
    ("name", "given", "expected", "filtered"),
    [
        *((*one, scope()) for one in ASKED),
        *((*one, scope(where=(make_filter("platform", "is", "ios"),))) for one in ASKED if one[0] in FILTERED),
    ],
)
async def test_the_people_behind_a_number_are_as_many_as_it_says(
    world: World, done: list[Done], name: str, given: dict[str, Any], expected: set[str], filtered: Scope
) -> None:
    metric = metrics()[name]
    days = {p.name: FIRST if p.name == "from" else LAST for p in metric.parameters if p.name in ("from", "to", "on")}
    arguments = arguments_for(metric, {**days, **given}, PLAN, LAST)
    found: Counter[str] = Counter()
    for row in await _rows(world, name, arguments, filtered):
        for column, value in row.items():
            asked = people_behind(name, column, row, arguments, filtered, PLAN)
            if asked is None or not value or found[column] == LOOKED_AT:
                continue
            question, cell = asked
            assert len(await people(world, question, cell)) == value, (column, row)
            # The address leads to the very same question.
            state = write(question)
            assert read_with_people(AddressReader(state, PLAN, date(2027, 1, 1), True), state["kind"]) == question
            found[column] += 1
    assert set(found) == expected


async def _rows(world: World, name: str, arguments: dict[str, Any], filtered: Scope) -> list[dict[str, Any]]:
    if not filtered.where:
        return (await run(world.connection, metrics()[name], arguments)).records()
    from pipeline.explore.catalogue import filter_of
    from pipeline.metrics.run import Limits, bound, query

    settings = {"additional_table_filters": filter_of(filtered, PLAN)}
    sql = query(metrics()[name], Limits())

    async def work(client: Any) -> Any:
        answer = await client.query(sql, parameters=bound(arguments), settings=settings)
        return [dict(zip(answer.column_names, row, strict=True)) for row in answer.result_rows]

    rows: list[dict[str, Any]] = await world.connection.run(work)
    return rows


@pytest.mark.parametrize(
    "name", [name for name, of in BUSINESS.items() if of.keys and not {"depth", "day"}.intersection(of.keys)]
)
def test_what_names_a_row_is_a_value_and_no_sql(name: str) -> None:
    hostile = "') OR 1 = 1 --{to}"
    given = AddressReader({"metric": name, "is1": hostile, "is2": hostile}, PLAN, date(2027, 1, 1), True)
    question = read_with_people(given, "metric")
    sql = people_sql(question, read_cell(given, question), PLAN)
    assert hostile not in sql.text
    assert hostile in sql.values.values()


async def test_in_a_page_they_are_links_where_people_may_be_looked_at(world: World) -> None:
    await world.tell(
        [
            event("ann", "look", "2026-11-07 09:00", platform="ios"),
            event("bob", "look", "2026-11-07 10:00", platform="web"),
            event("ann", "buy", "2026-11-07 10:00", {"amount": 60}, platform="ios"),
        ]
    )
    now = "2026-11-08T12:00+01:00"
    asked = {"metric": "active_users_daily", "from": "2026-11-07", "to": "2026-11-07", "platform": "ios"}
    html = await drawn(world, now, groups.one, **asked)
    assert cells(html)[1] == ["2026-11-07", "1", "2", "2"]
    (address,) = map(unescape, re.findall(r'href="/people\?([^"]*)"', html))
    asked = dict(parse_qsl(address))
    assert words(await drawn(world, now, behind.people, **asked)).startswith("1 person")
    assert cells(await drawn(world, now, behind.listed, **asked))[1][0] == "ann"
    assert "/people" not in await drawn(world, now, groups.one, settings={"dashboard_people": False}, **asked)
    html = await drawn(world, now, groups.one, metric="segments", on="2026-11-08")
    assert "metric=users_in_segment&amp;segment=new&amp;on=2026-11-08" in html


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"metric": "nope"}, "metric is one of new_users, "),
        ({}, "metric is one of new_users, "),
        ({"metric": "new_users", "n": "2"}, "new_users has no such column of people: '2'"),
        ({"metric": "new_users", "n": "-1"}, "new_users has no such column of people: '-1'"),
        ({"metric": "new_users", "from": "2026-11-05", "to": "2026-11-01"}, "is later than to"),
        ({"metric": "campaign_results", "until": "' OR 1"}, "until is a day like"),
        ({"metric": "retention_by", "is2": "1) OR (1"}, "n is a whole number from 0 to 65535"),
        ({"metric": "retention_by", "is2": "65536"}, "n is a whole number from 0 to 65535"),
        ({"metric": "retention_by", "is2": "٣"}, "n is a whole number from 0 to 65535"),
        ({"metric": "sessions_daily", "is1": "') OR 1 = 1 --"}, 'day is a day like 2026-11-30, not "\') OR 1 = 1 --"'),
        ({"metric": "sessions_daily", "is1": "2026-11-31"}, "day is a day like 2026-11-30, not '2026-11-31'"),
        ({"metric": "invitation_chains", "is1": "65"}, "depth is a whole number from 0 to 64"),
        ({"metric": "retention_by", "dimension": "user.tier"}, "dimension"),
        ({"metric": "new_users", "o1": "is", "f1": "user.tier", "v1": "gold"}, "is an attribute of users"),
    ],
)
def test_an_address_that_names_no_number_is_one_clear_line(query: dict[str, str], said: str) -> None:
    given = AddressReader(query, PLAN, date(2027, 1, 1), "f1" not in query)
    with pytest.raises(UserError, match=re.escape(said)) as raised:
        question = read_with_people(given, "metric")
        people_sql(question, read_cell(given, question), PLAN)
    assert "\n" not in str(raised.value)


def test_what_a_stranger_writes_is_a_value_and_no_sql() -> None:
    hostile = "' OR 1 = 1 --"
    query = {"metric": "experiment_results", "experiment": hostile, "goal": hostile, "is1": hostile, "is2": hostile}
    given = AddressReader(query, PLAN, date(2027, 1, 1), True)
    question = read_with_people(given, "metric")
    sql = people_sql(question, read_cell(given, question), PLAN)
    assert hostile not in sql.text
    assert hostile in sql.values.values()
