"""How much a source may send, and where a request comes from."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.collect.limits import TokenBucket, client_address, networks


def test_a_bucket_lets_ten_seconds_through_at_once_and_then_the_rate() -> None:
    bucket = TokenBucket(5, 100.0)
    assert [bucket.take(1, 100.0) for _ in range(50)] == [0.0] * 50
    assert bucket.take(1, 100.0) == pytest.approx(0.2)
    assert bucket.take(1, 100.2) == 0.0
    assert bucket.take(10, 101.2) == pytest.approx(1.0)
    # More than ever fits takes a full one.
    assert bucket.take(1_000, 200.0) == 0.0
    assert bucket.take(1_000, 200.0) == 10.0


@given(st.lists(st.tuples(st.integers(1, 30), st.floats(0, 5)), max_size=60))
def test_no_more_than_the_rate_goes_through(requests: list[tuple[int, float]]) -> None:
    bucket, now, taken = TokenBucket(10, 0.0), 0.0, 0
    for events, later in requests:
        now += later
        if not bucket.take(events, now):
            taken += events
    assert taken <= 100 + 10 * now + 1e-6


@pytest.mark.parametrize(
    ("peer", "forwarded", "proxies", "found"),
    [
        ("203.0.113.9", ["198.51.100.1"], "", "203.0.113.9"),
        ("203.0.113.9", ["198.51.100.1"], "10.0.0.0/8", "203.0.113.9"),
        ("10.0.0.2", ["198.51.100.1"], "10.0.0.0/8", "198.51.100.1"),
        ("10.0.0.2", ["6.6.6.6, 198.51.100.1"], "10.0.0.0/8", "198.51.100.1"),
        ("10.0.0.2", ["6.6.6.6, 198.51.100.1, 10.1.1.1"], "10.0.0.0/8", "198.51.100.1"),
        ("10.0.0.2", ["6.6.6.6", "198.51.100.1"], "10.0.0.0/8", "198.51.100.1"),
        ("10.0.0.2", ["nonsense"], "10.0.0.0/8", "10.0.0.2"),
        ("10.0.0.2", [""], "10.0.0.0/8", "10.0.0.2"),
        ("10.0.0.2", ["198.51.100.1:4711"], "10.0.0.0/8", "198.51.100.1"),
        ("::1", ["[2001:db8::7]:443"], "::1", "2001:db8::7"),
        ("10.0.0.2", [], "10.0.0.0/8", "10.0.0.2"),
        ("", ["198.51.100.1"], "10.0.0.0/8", ""),
    ],
)
def test_only_what_our_own_proxies_say_is_believed(peer: str, forwarded: list[str], proxies: str, found: str) -> None:
    assert client_address(peer, forwarded, networks(proxies)) == found
