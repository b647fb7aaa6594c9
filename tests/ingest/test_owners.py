"""Whom ids belong to, claim by claim, and what records say of persons."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.ingest.links import Owners, claims_of, read_links, told_person
from schemas.event import Event

T = 1_790_000_000_000
ALIAS = ("rename", "old")


def test_the_first_user_owns_a_device_until_one_too_many_has_claimed_it() -> None:
    owners = Owners(3)
    rulings = [owners.claim("$device:d", user) for user in ("a", "a", "b", "b", "a", "c", "c", "d", "e", "a")]
    assert rulings == ["linked", None, "refused", None, None, "refused", None, "shared", None, None]
    assert (owners.of("$device:d"), owners.is_shared("$device:d")) == (None, True)
    assert owners.changed == {"$device:d"}


def test_an_old_user_id_is_never_shared() -> None:
    owners = Owners(2)
    assert [owners.claim("old", user) for user in ("a", "b", "c", "d")] == ["linked", "refused", None, None]
    assert (owners.of("old"), owners.is_shared("old")) == ("a", False)


@pytest.mark.parametrize("limit", [1, 2, 100])
def test_what_is_kept_of_an_id_goes_on_where_it_stood(limit: int) -> None:
    users = [f"u{n}" for n in range(limit + 2)]
    for cut in range(limit + 2):
        whole, first = Owners(limit), Owners(limit)
        rulings = [whole.claim("$device:d", user) for user in users]
        found = [first.claim("$device:d", user) for user in users[:cut]]
        second = Owners(limit, {"$device:d": first.entry("$device:d")})
        assert found + [second.claim("$device:d", user) for user in users[cut:]] == rulings


@pytest.mark.parametrize(
    ("fields", "claims"),
    [
        ({"user_id": "u", "anonymous_id": "d"}, [("$device:d", "u")]),
        ({"user_id": "u", "anonymous_id": "u"}, [("$device:u", "u")]),
        ({"user_id": "u", "anonymous_id": "null"}, []),
        ({"user_id": "u", "anonymous_id": " 0000-00 "}, []),
        ({"user_id": "null", "anonymous_id": "d"}, []),
        ({"user_id": "u", "anonymous_id": ""}, []),
        ({"anonymous_id": "d"}, []),
        ({"user_id": "u", "properties": {"old": "v"}}, [("v", "u")]),
        ({"user_id": "u", "properties": {"old": "u"}}, []),
        ({"user_id": "u", "properties": {"old": "undefined"}}, []),
        ({"user_id": "u", "properties": {"old": "$device:d"}}, []),
        ({"user_id": "u", "properties": {"old": "v" * 257}}, []),
        ({"user_id": "u", "properties": {"old": "a\x1fb"}}, []),
        ({"user_id": "u", "properties": {"old": ["v"]}}, []),
        ({"user_id": "u", "properties": None}, []),
        ({"anonymous_id": "d", "properties": {"old": "v"}}, []),
    ],
)
def test_what_an_event_claims(fields: dict[str, Any], claims: list[tuple[str, str]]) -> None:
    assert [(claim.id, claim.person) for claim in claims_of(Event("e", "rename", T, **fields), ALIAS)] == claims


@pytest.mark.parametrize(
    ("header", "found"),
    [
        (b"1:u", ("u", 1)),
        (b"4:a:b", ("a:b", 4)),
        (b"9:u", ("u", 9)),
        ("1:é".encode(), ("é", 1)),
        (b"0:u", None),
        (b"10:u", None),
        (b"1:", None),
        (b":u", None),
        (b"u", None),
        (b"1:$device:d", None),
        (b"1:null", None),
        (b"1:a\x1fb", None),
        (b"1:\xff", None),
        (b"1:" + b"u" * 257, None),
        (b"", None),
        (None, None),
    ],
)
def test_as_whom_a_record_says_that_it_counts(header: bytes | None, found: tuple[str, int] | None) -> None:
    assert told_person([("streamgauge-person", header)]) == found


def test_of_several_headers_the_last_counts() -> None:
    assert told_person([("streamgauge-person", b"1:a"), ("other", b"1:c"), ("streamgauge-person", b"2:b")]) == ("b", 2)


@pytest.mark.parametrize(
    "value",
    [
        b'{"id":"null","person":"u","kind":"login","ts":1790000000000}',
        b'{"id":"d","person":"$device:e","kind":"login","ts":1790000000000}',
        b'{"id":"d","person":"0","kind":"login","ts":1790000000000}',
        b'{"id":"u","person":"u","kind":"alias","ts":1790000000000}',
        b'{"id":"$device:d","person":"u","kind":"alias","ts":1790000000000}',
        b'{"id":"d","person":"u","kind":"login","ts":"1790000000000"}',
        b'{"id":"d","person":"u","kind":"login","ts":1790000000000,"more":1}',
        b'{"id":"d","person":"u","kind":"Login","ts":1790000000000}',
        b'{"id":1,"person":"u","kind":"login","ts":1790000000000}',
        b'{"id":"d","person":"u","kind":"login","ts":1}',
        b"{}", b"null", b"", None,
    ],
)  # fmt: skip
def test_what_is_no_link(value: bytes | None) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        read_links(value, aliases=True)
