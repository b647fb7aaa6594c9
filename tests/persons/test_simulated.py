"""The simulated shop with second, shared and lost devices: live and SQL find its people (see `test_one_question`)."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pytest
import yaml
from persons.cluster import oracle_of

from pipeline.ingest.records import Record
from pipeline.replay import live, sql
from pipeline.replay.log import batches
from pipeline.replay.measures import Measures
from pipeline.simulate import SHOP, History
from pipeline.simulate.devices import Devices
from pipeline.simulate.history import BY_DAY
from schemas.duration import DAY
from schemas.plan import Plan
from schemas.plan_io import load_plan, parse_plan

END = 1_795_276_800_000  # midnight of 2026-11-22 in Shanghai


@cache
def simulated() -> tuple[list[bytes], list[dict[str, Any]]]:
    """Two weeks in the order of their times, and who lived in them."""
    history = History(SHOP, END - 14 * DAY, END, 24_000, None, 1, (), BY_DAY, Devices(), True)
    return [sent.value or b"" for sent in history.records()], list(history.people())


@pytest.fixture(scope="module")
def plan() -> Plan:
    """The plan of the shop, with the first question of anybody who runs a product."""
    text = yaml.safe_dump(
        load_plan("shop").model_dump(mode="json", exclude={"funnels", "alerting", "meanings"})
        | {"funnels": {"acquisition": {"steps": ["app_open", "sign_up"], "window": "7d"}}, "lateness": "30d"}
    )
    return parse_plan(text)


def _day_users(found: Measures) -> int:
    return sum(round(c.users) for w, c in found.activity.items() if (w.grain, w.dimension) == ("day_utc", ""))


def _funnel(found: Measures) -> list[int]:
    return next(cell.users for cohort, cell in found.overall() if cohort.breakdown == "")


def test_live_and_sql_find_them(plan: Plan, needs_embedded: None) -> None:
    values, _ = simulated()
    log = [Record(i, END + DAY, None, value) for i, value in enumerate(values)]
    oracle = oracle_of(plan, [log])
    users = len({(one.event.ts // DAY, one.person) for one in oracle.events})
    steps = oracle.reached("acquisition")
    by_sql = sql.replay(plan, batches(iter(values)), ("day_utc",))
    assert (_day_users(by_sql), _funnel(by_sql)) == (users, steps)
    by_fold = live.replay(plan, batches(iter(values)), ("day_utc",))
    assert _funnel(by_fold) == steps
    assert abs(_day_users(by_fold) - users) <= 0.01 * users  # sketches


def test_people_come_on_their_devices_and_on_others() -> None:
    values, people = simulated()
    events = [json.loads(value) for value in values]
    own = {device for person in people for device in person["devices"]}  # type: ignore[union-attr]
    devices = {event.get("anonymous_id") for event in events} - {None}
    assert len({person["user_id"] for person in people if person["user_id"]}) == sum(
        1 for person in people if person["user_id"]
    )
    assert {device for device in devices if not device.startswith("tablet")} <= own
    assert sum(device.startswith("tablet") for device in devices) == 20
    users_of: dict[str, set[str]] = {}
    for event in events:
        if event.get("user_id") and event.get("anonymous_id"):
            users_of.setdefault(event["anonymous_id"], set()).add(event["user_id"])
    shared = {device for device, users in users_of.items() if len(users) > 1}
    assert shared
    assert all(device.startswith("tablet") for device in shared)
    assert all(event.get("user_id") or event.get("anonymous_id") for event in events)
