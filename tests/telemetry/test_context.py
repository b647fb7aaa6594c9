"""`traceparent` of strangers: read strictly, and never worth more spans than there would be anyway."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.telemetry.context import Allowance, Parent, parent_of, parents_in, traced

GOOD = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
PARENT = Parent(0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331, True)


def test_a_header_names_a_span() -> None:
    assert parent_of(GOOD) == PARENT
    assert parent_of(GOOD[:-2] + b"00") == PARENT._replace(sampled=False)
    assert parent_of(GOOD[:-2] + b"ff") == PARENT


@given(st.builds(Parent, st.integers(1, (1 << 128) - 1), st.integers(1, (1 << 64) - 1), st.booleans()))
def test_what_is_written_is_read(parent: Parent) -> None:
    assert parent_of(parent.header()) == parent


@pytest.mark.parametrize("header", [
    None, b"", b"00", GOOD + b"-x", GOOD[:-1], b"01" + GOOD[2:], b"ff" + GOOD[2:], GOOD.upper(),
    GOOD.replace(b"-", b"_"),
    GOOD.replace(b"0af7", b"0ag7"), b"00-" + b"0" * 32 + b"-b7ad6b7169203331-01", GOOD[:36] + b"0" * 16 + b"-01",
    GOOD + b"\n", b" " + GOOD[:-1], GOOD.replace(b"0af7", "٠af7".encode()), b"\xff" * 55, b"0" * 1_000_000,
])  # fmt: skip
def test_anything_else_names_none(header: bytes | None) -> None:
    assert parent_of(header) is None


def record(*headers: tuple[str, bytes | None]) -> SimpleNamespace:
    return SimpleNamespace(headers=headers, offset=0)


def test_records_that_are_traced_are_found_and_the_last_header_counts() -> None:
    other = GOOD.replace(b"0af7", b"1af7")
    records = [
        record(), record(("traceparent", GOOD)), record(("Traceparent", GOOD)), record(("traceparent", None)),
        record(("traceparent", GOOD[:-2] + b"00")), record(("traceparent", other), ("x", b""), ("traceparent", GOOD)),
        record(("traceparent", GOOD), ("traceparent", b"\xff")),
    ]  # fmt: skip
    assert parents_in(records) == [(1, PARENT), (5, PARENT)]
    assert traced((("traceparent", GOOD),)) == PARENT


def test_forged_headers_cost_no_more_than_is_allowed() -> None:
    allowance = Allowance(rate=10.0, burst=20.0, now=100.0)
    assert sum(allowance.take(100.0) for _ in range(1_000)) == 20
    assert sum(allowance.take(100.5) for _ in range(1_000)) == 5
    # A clock that goes back gives nothing, and takes nothing for long.
    assert not allowance.take(50.0)
    assert sum(allowance.take(52.0) for _ in range(1_000)) == 20
