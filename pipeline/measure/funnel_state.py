"""What is kept of one actor for one funnel, as bytes.

An entry holds the actor's events that can still matter, sorted by (ts, code, value). It is canonical: the
same events give the same bytes, whatever the order and the batches they came in. Layout, little endian:

    base     int64    ts of the first event, epoch ms
    ttl      uint32   seconds from base until nothing of the entry can matter any more (`expires_at`);
                      all bits set: more than 136 years, kept for good
    count    uint16   number of events (at most 2,000), and above bit 10 the flags WIDE, MANY, OVERFLOW,
                      TIES (two of the times are equal), LEVELS
    times    ts - base of every event but the first: uint32, or uint64 where WIDE
    codes    mask of steps and exclusion bit of every event: uint8 up to 7 steps, uint16 up to 15, else uint32
    levels   where LEVELS (from 8 events or 2 buckets on): uint16 number of buckets with a first step, int64
             end of the last one, and the level of each, uint8
    values   the breakdown value in UTF-8; where MANY, a table (uint16 number, each uint16 length and text,
             sorted), and for each event that carries a value its index in it: uint8, uint16 beyond 256 values
"""

from __future__ import annotations

import struct
from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

from pipeline.measure.funnel import Event, FunnelSpec

#: More events of one actor than this are not kept: the earliest are, and the entry is marked (`overflowed`).
MAX_EVENTS: Final = 2000
#: Entries with fewer events and at most one bucket hold no levels: computing them again is quick.
SMALL: Final = 8

HEAD: Final = struct.Struct("<qIH")
#: What it begins with.
START: Final = struct.Struct("<qI")
#: A ttl that has no end: an id may have events of 2000 and of 2199.
FOR_GOOD: Final = 0xFFFF_FFFF
_NEVER: Final = 1 << 62
#: Number of buckets, and the end of the last one, before their levels.
LEVELS_HEAD: Final = struct.Struct("<Hq")
COUNT: Final = (1 << 11) - 1
WIDE, MANY, OVERFLOW, TIES, LEVELS = (1 << bit for bit in range(11, 16))


def expires_at(entry: bytes) -> int:
    """The horizon (epoch ms) from which on no event of the entry can matter: it may be forgotten then.

    That is when the last bucket with a first step is final, and a first step before the last event would be
    older than the horizon; with links, by which a first step of long ago may come, when the last event's bucket is
    final. Rounded up to whole seconds after the entry's first event. An empty entry never matters.
    """
    if not entry:
        return 0
    base, ttl, _ = HEAD.unpack_from(entry)
    return _NEVER if ttl == FOR_GOOD else int(base + ttl * 1000)


def ttl_of(base: int, expires: int) -> int:
    """The ttl of an entry that begins at `base` and can matter until `expires`, both in epoch ms."""
    return min((expires - base + 999) // 1000, FOR_GOOD)


def overflowed(entry: bytes) -> bool:
    """Whether events of this actor were left out because it had more than `MAX_EVENTS`."""
    return bool(HEAD.unpack_from(entry)[2] & OVERFLOW)


def event_count(entry: bytes) -> int:
    """The number of events in the entry."""
    return int(HEAD.unpack_from(entry)[2] & COUNT)


class EntryCodec:
    """Entries of one funnel to events and back."""

    def __init__(self, spec: FunnelSpec, linked: bool = False) -> None:
        self._spec, self._linked = spec, linked
        self._carriers = spec.carriers
        #: Bytes of one code, and its struct format.
        self.width, self.format = (1, "B") if spec.steps < 8 else (2, "H") if spec.steps < 16 else (4, "I")
        #: Layout up to the value of the entries without flags, by their number of events.
        self.small = [struct.Struct(f"<qIH{max(n - 1, 0)}I{n * self.width}s") for n in range(SMALL)]

    def encode(self, events: Sequence[Event], levels: Sequence[int], overflow: bool) -> bytes:
        """The entry of sorted `events` (at least one); `levels`: of the buckets with a first step."""
        base, last, n = events[0][0], events[-1][0], len(events)
        carriers, flags = self._carriers, n | (OVERFLOW if overflow else 0)
        times = [event[0] - base for event in events]
        if len(set(times)) < n:
            flags |= TIES
        if wide := times[-1] >= 1 << 32:
            flags |= WIDE
        values = [value for _, code, value in events if code & carriers]
        table = sorted(set(values))
        high = 0
        expires = last + 1
        if levels:
            last_first = next(ts for ts, code, _ in reversed(events) if code & 1)
            high = self._spec.bounds(last_first)[1]
            expires = max(expires, high + self._spec.window_ms)
        if self._linked:
            expires = self._spec.bounds(last)[1] + self._spec.window_ms
        parts = [
            struct.pack(f"<{n - 1}{'Q' if wide else 'I'}", *times[1:]),
            struct.pack(f"<{n}{self.format}", *[event[1] for event in events]),
        ]
        if n >= SMALL or len(levels) > 1:
            flags |= LEVELS
            parts += (LEVELS_HEAD.pack(len(levels), high), bytes(levels))
        if len(table) > 1:
            flags |= MANY
            parts.append(struct.pack("<H", len(table)))
            for value in table:
                raw = value.encode()
                parts += (struct.pack("<H", len(raw)), raw)
            index = {value: i for i, value in enumerate(table)}
            refs = "B" if len(table) <= 256 else "H"
            parts.append(struct.pack(f"<{len(values)}{refs}", *[index[value] for value in values]))
        elif table:
            parts.append(table[0].encode())
        return HEAD.pack(base, ttl_of(base, expires), flags) + b"".join(parts)

    def codes(self, packed: bytes) -> tuple[int, ...]:
        """Codes as numbers."""
        return struct.unpack(f"<{len(packed) // self.width}{self.format}", packed)

    def values(self, packed: bytes) -> list[str]:
        """The value of each event that has one, of an entry with several."""
        table, refs = _table(packed)
        texts = [raw.decode() for raw in table]
        places = refs if len(table) <= 256 else struct.unpack(f"<{len(refs) // 2}H", refs)
        return [texts[place] for place in places]

    def decode(self, entry: bytes) -> tuple[list[Event], list[int] | None, bool]:
        """The entry's events, the levels of its buckets (None if not written), and whether it overflowed."""
        base, _, head = HEAD.unpack_from(entry)
        n, at = head & COUNT, HEAD.size
        times = struct.unpack_from(f"<{n - 1}{'Q' if head & WIDE else 'I'}", entry, at)
        at += (n - 1) * (8 if head & WIDE else 4)
        codes = struct.unpack_from(f"<{n}{self.format}", entry, at)
        at += n * self.width
        levels: list[int] | None = None
        if head & LEVELS:
            buckets, _ = LEVELS_HEAD.unpack_from(entry, at)
            at += LEVELS_HEAD.size + buckets
            levels = list(entry[at - buckets : at])
        carriers = self._carriers
        if not head & MANY:
            only = entry[at:].decode()
            values = [only if code & carriers else "" for code in codes]
        else:
            carried = iter(self.values(entry[at:]))
            values = [next(carried) if code & carriers else "" for code in codes]
        absolute = [base, *[base + time for time in times]]
        return list(zip(absolute, codes, values, strict=True)), levels, bool(head & OVERFLOW)


def _table(packed: bytes) -> tuple[list[bytes], bytes]:
    """The values of an entry that has several, and each event's place among them."""
    (size,), at = struct.unpack_from("<H", packed), 2
    table: list[bytes] = []
    for _ in range(size):
        (length,) = struct.unpack_from("<H", packed, at)
        at += 2 + length
        table.append(packed[at - length : at])
    return table, packed[at:]


def with_value(packed: bytes, many: bool, carrying: int, value: str) -> tuple[bytes, bool] | None:
    """The values of an entry (at most 256) with that of one event more at its end, and whether they are several.

    `carrying` is how many events have one already. None if there are too many for a short place.
    """
    raw = value.encode()
    if not carrying or (not many and packed == raw):
        return raw, False
    table, refs = _table(packed) if many else ([packed], bytes(carrying))
    place = bisect_left(table, raw)
    if table[place : place + 1] != [raw]:
        if len(table) == 256:
            return None
        table.insert(place, raw)
        refs = bytes([ref + (ref >= place) for ref in refs])
    texts = b"".join([struct.pack("<H", len(text)) + text for text in table])
    return b"".join([struct.pack("<H", len(table)), texts, refs, bytes([place])]), True
