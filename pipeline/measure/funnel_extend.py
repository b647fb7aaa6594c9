"""Later events put at the end of an actor's entry, without making it anew.

Of an entry that is longer than `SMALL`, or has several buckets, the levels are known. An event that comes last can only
begin a bucket, or be the next step of some: only those are walked again, over times and codes as they stand in the
entry. What this costs doesn't grow with what an actor has done, but for the walk of a bucket that waits for the event.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final

from pipeline.measure.funnel import Chain, Event, FunnelSpec, Key
from pipeline.measure.funnel_state import (
    COUNT,
    FOR_GOOD,
    HEAD,
    LEVELS,
    LEVELS_HEAD,
    MANY,
    MAX_EVENTS,
    OVERFLOW,
    SMALL,
    WIDE,
    EntryCodec,
    ttl_of,
    with_value,
)

#: (key, chain counted so far, chain to count now); () is none. The two chains have the same origin, which
#: may be any: what counts is their length and the differences within.
Change = tuple[Key, Chain, Chain]

#: Times from here on after the first one are wide.
WIDE_MS: Final = 1 << 32
_UNKNOWN: Final = b"\0"


class Extension:
    """Extends the entries of one funnel; `linked` as `FunnelFold` has it."""

    def __init__(self, spec: FunnelSpec, linked: bool, codec: EntryCodec) -> None:
        self._spec, self._linked, self._codec = spec, linked, codec
        self._carriers = spec.carriers
        #: A bucket's earliest first step gives its value to the others there.
        self._leads = spec.attribution == "first"
        self._order = "strict_order" in spec.modes
        self._steps = (1 << spec.steps) - 1
        #: By code, the steps (from 1) that are walked here: of events that are one step, where no mode says otherwise.
        self._last = (0, 0)
        self._walked = {} if spec.modes else {1 << k: k + 1 for k in range(spec.steps)}

    def extend(self, entry: bytes, events: Sequence[Event], horizon: int) -> tuple[bytes, list[Change]] | None:
        """The entry with `events` at its end, and the counters' changes; None where it has to be made anew.

        It has to where an event is not later than all before it, where something of the entry is to be forgotten by
        the `horizon`, where values move that others than the first step of a bucket give, and where an event may be the
        next step of a walk that isn't a plain one.
        """
        base, ttl, head = HEAD.unpack_from(entry)
        if head & (WIDE | OVERFLOW) or ttl == FOR_GOOD or base + ttl * 1000 <= horizon:
            return None
        many, count, width = bool(head & MANY), head & COUNT, self._codec.width
        times_end = HEAD.size + 4 * (count - 1)
        codes_end = times_end + count * width
        if many and (not self._leads or int.from_bytes(_values(entry, head, codes_end)[:2], "little") > 256):
            return None
        if horizon > base and (
            not entry[times_end] & 1 or self._spec.bounds(base)[1] + self._spec.window_ms <= horizon
        ):
            return None
        codes = entry[times_end:codes_end]
        if head & LEVELS:
            buckets, high = LEVELS_HEAD.unpack_from(entry, codes_end)
            levels_at = codes_end + LEVELS_HEAD.size
            levels = entry[levels_at : levels_at + buckets]
            tail = entry[levels_at + buckets :]
        else:
            levels, high = self._first_bucket(base, entry, codes)
            tail = entry[codes_end:]
        known, mask = count, 0
        last = base if count == 1 else base + int.from_bytes(entry[times_end - 4 : times_end], "little")
        times: list[int] = []
        for ts, code, value in events:
            if not code and not self._order:
                continue
            if not last < ts < base + WIDE_MS or ts < horizon:
                return None
            if code & self._carriers:
                if self._leads and ts < high:
                    tail += tail[-1:] if many else b""
                elif self._leads:
                    found = with_value(tail, many, self._carrying(codes), value)
                    if found is None:
                        return None
                    tail, many = found
                elif tail != value.encode():
                    return None
            if code & 1 and ts >= high:
                high = self._around(ts)[1]
                levels += _UNKNOWN
            last, mask, count = ts, mask | code, count + 1
            times.append(ts - base)
            codes += code.to_bytes(width, "little")
        if count > MAX_EVENTS:
            return None
        mask &= self._steps
        changes: list[Change] = []
        touched = [n for n, level in enumerate(levels) if not level or mask >> level & 1]
        if touched:
            walked = self._walk(base, [0, *_times(entry, known), *times], codes, known, touched)
            if walked is None:
                return None
            new_levels = bytearray(levels)
            for n, first, low, was, now in walked:
                new_levels[n] = len(now)
                if was != now:
                    changes.append(((low, self._value(tail, many, codes, first)), was, now))
            levels = bytes(new_levels)
        until = max(last + 1, high + self._spec.window_ms) if levels else last + 1
        if self._linked:
            until = self._final_at(last)
        with_levels = count >= SMALL or len(levels) > 1
        flags = head & ~(COUNT | LEVELS | MANY) | count | (LEVELS if with_levels else 0) | (MANY if many else 0)
        parts = (
            HEAD.pack(base, ttl_of(base, until), flags),
            entry[HEAD.size : times_end],
            struct.pack(f"<{len(times)}I", *times),
            codes,
            LEVELS_HEAD.pack(len(levels), high) + levels if with_levels else b"",
            tail,
        )
        return b"".join(parts), changes

    def _around(self, ts: int) -> tuple[int, int]:
        """The bucket around a time: nearly always the one that was looked up last."""
        if not self._last[0] <= ts < self._last[1]:
            self._last = self._spec.bounds(ts)
        return self._last

    def _final_at(self, ts: int) -> int:
        return self._around(ts)[1] + self._spec.window_ms

    def _first_bucket(self, base: int, entry: bytes, codes: bytes) -> tuple[bytes, int]:
        """The levels, which are unknown, and the end of the last bucket of an entry that has none written."""
        first = next((i for i, code in enumerate(self._numbers(codes)) if code & 1), None)
        if first is None:
            return b"", 0
        at = _times(entry, first + 1)[-1] if first else 0
        return _UNKNOWN, self._around(base + at)[1]

    def _walk(
        self, base: int, times: list[int], codes: bytes, known: int, touched: list[int]
    ) -> list[tuple[int, int, int, Chain, Chain]] | None:
        """Of each of the `touched` buckets its number, its first first step, its start, and its chain over the first
        `known` events and over all. None if one of them isn't walked here."""
        found: list[tuple[int, int, int, Chain, Chain]] = []
        numbers = self._numbers(codes)
        number, high = -1, -1
        for first, code in enumerate(numbers):
            if code & 1 and times[first] >= high:
                low, high = self._around(base + times[first])
                high -= base
                number += 1
                if number in touched:
                    chains = self.chains(times, numbers, first, high, known, self._spec.window_ms)
                    if chains is None:
                        return None
                    found.append((number, first, low, *chains))
        return found

    def chains(
        self, times: Sequence[int], codes: Sequence[int], first: int, high: int, known: int, window: int
    ) -> tuple[Chain, Chain] | None:
        """`funnel.contribution` of a bucket: its chain over the first `known` events and over all.

        Its first first step is number `first`, and it ends at `high`. None if it isn't walked here.
        """
        walked, steps = self._walked, self._spec.steps
        latest: list[Chain] = [()] * (steps + 1)
        best: Chain = ()
        was: Chain = ()
        for i in range(first, len(codes)):
            if i == known:
                was = best
            step, ts = walked.get(codes[i]), times[i]
            if step is None:
                return None
            if step == 1:
                if ts < high:
                    latest[1] = (ts,)
                    best = best or latest[1]
            elif (before := latest[step - 1]) and ts <= before[0] + window:
                latest[step] = chain = (*before, ts)
                if step > len(best):
                    best = chain
                    if step == steps:
                        return (was if i >= known else best), best
        return (was if known < len(codes) else best), best

    def _value(self, tail: bytes, many: bool, codes: bytes, first: int) -> str:
        """The value of a bucket whose first first step is number `first`."""
        if not many:
            return tail.decode()
        return self._codec.values(tail)[self._carrying(codes[: first * self._codec.width])]

    def _carrying(self, codes: bytes) -> int:
        """How many of the events have a value."""
        carriers = self._carriers
        return sum([1 for code in self._numbers(codes) if code & carriers])

    def _numbers(self, codes: bytes) -> Sequence[int]:
        return codes if self._codec.width == 1 else self._codec.codes(codes)


def _times(entry: bytes, count: int) -> tuple[int, ...]:
    """The times of an entry's first events but the very first, after that one."""
    return struct.unpack_from(f"<{count - 1}I", entry, HEAD.size)


def _values(entry: bytes, head: int, codes_end: int) -> bytes:
    """What stands behind the codes and levels of an entry."""
    if not head & LEVELS:
        return entry[codes_end:]
    buckets, _ = LEVELS_HEAD.unpack_from(entry, codes_end)
    return entry[codes_end + LEVELS_HEAD.size + buckets :]
