"""What SDKs send for "nothing": null and empty fields, and ids that mean nobody."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ingest.records import T0, classifier, record

from pipeline.ingest.validate import Rejection, Validator
from pipeline.simulate.rules import event_of
from schemas.nobody import NOBODY, any_nobody, is_nobody
from schemas.plan import Plan
from schemas.plan_io import parse_plan

PLAN = parse_plan("product: x\nevents: {go: {properties: {t: timestamp, num: number, s: string}}, stop: }\n")
KEEPING = parse_plan("product: x\nnobody_ids: keep\nevents: {go: , stop: }\n")
#: Every event may be unknown, and there is one event only: the two other ways through the validator.
UNKNOWN = parse_plan("product: x\nunknown_events: keep\nevents: {a: , b: }\n")
ALONE = parse_plan("product: x\nevents: {go: }\n")


def sent(**fields: Any) -> bytes:
    return json.dumps({"event_id": "e", "event": "go", "user_id": "u", "ts": T0, **fields}).encode()


def reason(value: bytes, plan: Plan = PLAN) -> str:
    """ "" for an event, else why it is none; the slow rules say the same."""
    try:
        Validator(plan).parse(value)
        found = ""
    except Rejection as why:
        found = why.reason
    assert (event_of(value, plan) is None) == bool(found)
    return found


@pytest.mark.parametrize("plan", [PLAN, UNKNOWN, ALONE], ids=["plan", "unknown", "alone"])
@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"properties": None}, ""),
        ({"properties": []}, "wrong_type"),
        ({"properties": {}}, ""),
        ({"platform": None, "session_id": None, "anonymous_id": None}, ""),
        ({"user_id": "", "anonymous_id": "a1"}, ""),
        ({"user_id": None, "anonymous_id": "a1"}, ""),
        ({"anonymous_id": ""}, ""),
        ({"session_id": ""}, ""),
        ({"platform": ""}, ""),
        ({"properties": {"t": None, "num": None, "s": None}}, ""),
        ({"user_id": "", "anonymous_id": ""}, "missing_actor"),
        ({"user_id": "", "anonymous_id": None}, "missing_actor"),
        ({"user_id": ""}, "missing_actor"),
    ],
    ids=str,
)
def test_null_and_empty_are_missing(plan: Plan, fields: dict[str, Any], expected: str) -> None:
    assert reason(sent(**fields), plan) == expected


def test_the_actor_of_an_empty_user_is_the_device() -> None:
    event = Validator(PLAN).parse(sent(user_id="", anonymous_id="a1", properties=None))
    assert (event.actor, event.value) == ("$device:a1", 0)


def test_null_is_no_properties_where_the_event_needs_some() -> None:
    plan = parse_plan("product: x\nevents: {go: {properties: {s: string!}}, stop: }\n")
    with pytest.raises(Rejection) as why:
        Validator(plan).parse(sent(properties=None))
    assert (why.value.reason, why.value.detail) == ("missing_field", "properties: is missing")


SHARED = [
    "null", "NULL", "Null", " null ", "(null)", "<null>", "nil", "None", "none", "undefined", "UNDEFINED", "NaN", "nan",
    "[object Object]", "[object object]", "0", "00", "-1", "true", "false", "unknown", "Anonymous", "guest", "  ", "-",
    "00000000-0000-0000-0000-000000000000", "00000000000000000000000000000000", "000000000000000", "00:00:00:00:00:00",
    "02:00:00:00:00:00", "9774D56D682E549C", "distinct_id", "user_id", "not_set", "(not set)", "n/a", "\u3000null",
]  # fmt: skip


@pytest.mark.parametrize("nobody", SHARED)
def test_ids_that_mean_nobody(nobody: str) -> None:
    assert is_nobody(nobody)
    assert reason(sent(user_id=nobody)) == "nobody_id"
    assert reason(sent(user_id=None, anonymous_id=nobody)) == "nobody_id"
    assert reason(sent(user_id="", anonymous_id=nobody)) == "nobody_id"
    assert reason(sent(user_id=nobody, anonymous_id="a1")) == "nobody_id"
    # The device of somebody who is known doesn't matter.
    assert reason(sent(user_id="u", anonymous_id=nobody)) == ""
    assert reason(sent(user_id=nobody), KEEPING) == ""
    assert Validator(KEEPING).parse(sent(user_id=nobody)).actor == nobody


@pytest.mark.parametrize(
    "somebody",
    ["u1", "1", "10", "nullable", "nobody", "noneya", "null1", "0a", "id7", "truex",
     "00000000-0000-0000-0000-000000000001", "anonymous-7c1f", "guest_12", "支付", "🙂",
     "-1-", "2", "NaNcy", "none@example.com"],
)  # fmt: skip
def test_ids_of_somebody(somebody: str) -> None:
    assert not is_nobody(somebody)
    assert reason(sent(user_id=somebody)) == ""


def test_a_person_reads_what_to_do() -> None:
    with pytest.raises(Rejection) as why:
        Validator(PLAN).parse(sent(user_id="undefined"))
    assert why.value.detail == "user_id 'undefined' is nobody's: leave it out where there is no id"
    with pytest.raises(Rejection, match=r"^anonymous_id '0' is nobody's"):
        Validator(PLAN).parse(sent(user_id=None, anonymous_id="0"))


def test_worker_and_archiver_count_them_by_their_reason() -> None:
    """Both roles classify by this one function: what it rejects is in the reasons of both."""
    found = classifier(PLAN).classify([record(0, sent(user_id="null")), record(1, sent())])
    assert [outcome.name for outcome in found.outcomes] == ["REJECTED", "ACCEPTED"]
    assert {i: why.reason for i, why in found.rejections.items()} == {0: "nobody_id"}


def test_the_list_is_in_small_letters_and_trimmed() -> None:
    assert all(text == text.strip().lower() for text in NOBODY)


@pytest.mark.parametrize("name", ["ts", "properties", "user_id", "event"])
@pytest.mark.parametrize("more", ["", ", other: "])
def test_an_event_named_like_a_field_is_told_its_mistakes(name: str, more: str) -> None:
    plan = parse_plan(f"product: x\nevents: {{{name}: {{properties: {{ts: integer}}}}{more}}}\n")
    with pytest.raises(Rejection) as why:
        Validator(plan).parse(sent(event=name, properties={"ts": "x"}))
    assert why.value.detail == "properties.ts: input should be a valid integer, found 'x'"


def test_no_user_is_called_as_a_device_is() -> None:
    with pytest.raises(Rejection) as why:
        Validator(PLAN).parse(sent(user_id="$device:a1", anonymous_id="a1", properties=None))
    assert (why.value.reason, why.value.detail) == (
        "bad_value", "user_id: no user's id begins with $device:, which stands for a device",
    )  # fmt: skip
    device = Validator(PLAN).parse(sent(user_id=None, anonymous_id="$device:a1", properties=None))
    assert device.actor == "$device:$device:a1"


@given(
    st.lists(
        st.sampled_from([*sorted(NOBODY), "0", "0-0", "00a", " ", "\u3000null", "NULL ", "\u212a", "N\u0130L"])
        | st.text(
            st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), min_size=1, max_size=5
        ),
        max_size=6,
    )
)
def test_many_ids_are_asked_at_once_as_one_by_one(ids: list[str]) -> None:
    assert any_nobody(ids) == any(is_nobody(one) for one in ids)
