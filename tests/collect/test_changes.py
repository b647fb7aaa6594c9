"""Changes of attributes on their way through the front door: told again they are the same, and two are two."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pipeline.collect.model import IDENTIFY, Incoming
from pipeline.collect.reception import Reception
from schemas.plan_io import parse_plan

PLAN = parse_plan("product: T\nevents:\n  look:\n")
T = 1_790_000_000_000


def taken(*told: Incoming, received: int = T) -> tuple[list[dict[str, Any]], list[str]]:
    """The values of the records, and the reasons."""
    found = Reception(PLAN, 4).take("mixpanel", told, "web", received)
    return [json.loads(one.value) for one in found.records], [one.reason for one in found.results]


def orders(**fields: Any) -> Incoming:
    said: dict[str, Any] = {"event": IDENTIFY, "user_id": "u1", "ts": T - 1_000}
    return Incoming(said | fields, changes=[("add", {"orders": 1}), ("unset", {"trial": None})])


def test_each_change_is_a_record_of_its_user() -> None:
    (added, unset), reasons = taken(orders())
    assert reasons == [""]
    assert added == {
        "id": "u1", "device": False, "ts": T - 1_000, "attributes": {"orders": 1}, "source": "web", "change": "add",
        "change_id": added["change_id"],
    }  # fmt: skip
    assert (unset["change"], unset["attributes"]) == ("unset", {"trial": None})
    assert added["change_id"] < unset["change_id"]


def test_a_change_that_is_sent_again_has_the_same_id_and_two_of_one_request_have_two() -> None:
    first, _ = taken(orders(), orders())
    again, _ = taken(orders(), orders(), received=T + 60_000)
    ids = [one["change_id"] for one in first]
    assert len(set(ids)) == 4
    assert [one["change_id"] for one in again] == ids


def test_another_moment_or_another_change_is_another() -> None:
    other = Incoming({"event": IDENTIFY, "user_id": "u1", "ts": T - 1_000}, changes=[("add", {"orders": 2})])
    found = [taken(one)[0][0]["change_id"] for one in (orders(), orders(ts=T - 999), other)]
    assert len(set(found)) == 3


def test_a_change_with_an_event_is_named_by_the_event() -> None:
    (event, added, unset), reasons = taken(orders(event="look", event_id="e1"))
    assert (event["event"], reasons) == ("look", [""])
    assert [added["change_id"], unset["change_id"]] == ["e1-000", "e1-001"]


@pytest.mark.parametrize("event_id", [7, "x" * 500, ["e"]])
def test_a_change_with_an_odd_id_of_its_event_ends_nothing(event_id: Any) -> None:
    _, reasons = taken(orders(event_id=event_id), orders())
    assert reasons == ["", ""]


def test_what_can_not_be_added_is_refused_and_the_event_is_stored() -> None:
    item = Incoming({"event": "look", "user_id": "u1", "ts": T}, changes=[("add", {"orders": "one"})])
    found = Reception(PLAN, 4).take("mixpanel", [item], "web", T)
    assert [one.detail for one in found.results] == [
        "the event is stored; bad_attributes: attributes: 'orders' can only be added to with a number, not one"
    ]
    assert [dict(one.headers).get("streamgauge-refused", b"")[:15] for one in found.records] == [
        b"",
        b"bad_attributes:",
    ]
