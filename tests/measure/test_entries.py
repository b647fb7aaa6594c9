"""Entries in memory are looked at when many have come or some time is over, not each time somebody asks."""

from __future__ import annotations

from pipeline.measure.entries import in_memory

HOUR = 3_600_000


def until(ms: int) -> bytes:
    """An entry that matters up to this time, whole seconds after 1,000."""
    return (1_000).to_bytes(8, "little") + ((ms - 1_000) // 1_000).to_bytes(4, "little") + b"\x01\x00\x01"


def test_expired_entries_go_when_a_quarter_has_come_or_an_hour_is_over() -> None:
    entries = in_memory()
    for n in range(100):
        entries[f"long{n}"] = until(100 * HOUR)
    entries["short"] = until(6_000)
    assert entries.drop_expired(6_000, set()) == 0
    assert entries.drop_expired(7_000, {"short"}) == 0
    # All of them were looked at: until there are a quarter more, or an hour is over, nobody looks again.
    assert entries.drop_expired(8_000, set()) == 0
    for n in range(25):
        entries[f"new{n}"] = until(20_000)
    assert entries.drop_expired(8_000, set()) == 0
    entries["one more"] = until(20_000)
    assert entries.drop_expired(8_000, set()) == 1
    assert (len(entries), entries.get("short")) == (126, None)
    assert entries.drop_expired(8_000 + HOUR - 1, set()) == 0
    assert entries.drop_expired(8_000 + HOUR, set()) == 26
    assert len(entries) == 100
