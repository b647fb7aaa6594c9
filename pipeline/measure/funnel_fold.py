"""How new events of an actor change its entry and the counters, whatever order and batches they come in.

The state of an actor is its events, so the change is the contribution of all its events less that of the
old ones. Two short cuts, both proved against the long way by the tests: a few events in order are looked up
by the sequence of their codes, and longer entries remember the levels of their buckets, so that only those
that later events can change are computed again (`funnel_extend.py`).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.measure.funnel import (
    Bucket,
    Chain,
    Event,
    FunnelSpec,
    Key,
    buckets_of,
    contribution,
    cuts_of,
)
from pipeline.measure.funnel_extend import WIDE_MS, Change, Extension
from pipeline.measure.funnel_shapes import Shape, shapes_of
from pipeline.measure.funnel_state import FOR_GOOD, MAX_EVENTS, SMALL, EntryCodec, expires_at, ttl_of


class FunnelFold:
    """Folds the events of actors into their entries. Keeps nothing of an actor itself, only shared caches.

    With `linked`, events of long ago may come (those of a device that turns out to be the actor's): an event is kept
    until its own bucket is final, whether or not a first step stands before it.
    """

    def __init__(self, spec: FunnelSpec, linked: bool = False) -> None:
        self.spec, self.linked = spec, linked
        #: Events left out so far because their actor had too many (one that comes again is counted again).
        self.dropped = 0
        self.codec = EntryCodec(spec, linked)
        self._extension = Extension(spec, linked, self.codec)
        self.shapes = shapes_of(spec.steps, spec.modes)
        self._carriers = spec.carriers
        #: A bucket's earliest first step gives its value to the others there: theirs can't matter.
        self._leads = spec.attribution == "first"
        self._cut = 1 << spec.steps
        self._order = "strict_order" in spec.modes
        self._codes = [code.to_bytes(self.codec.width, "little") for code in range(256)]
        self._low = self._high = 0  # the bucket of a first step that was looked up last
        self._last = (0, 0)  # and that of a last event

    def withdraw(self, entry: bytes, horizon: int) -> tuple[list[Event], list[Change]]:
        """Take everything out that an entry counts in buckets that are not final: its events, and the changes.

        The entry is not needed any more then.
        """
        if expires_at(entry) <= horizon:
            return [], []
        events, _, _ = self.codec.decode(entry)
        events = events[self._first_needed(events, horizon) :]
        changes: list[Change] = []
        cuts = cuts_of(self.spec, events)
        for bucket in buckets_of(self.spec, events):
            changes += _difference(contribution(self.spec, events, cuts, bucket), {})
        return events, changes

    def take_over(
        self, entry: bytes | None, events: Sequence[Event], horizon: int
    ) -> tuple[bytes | None, list[Change]]:
        """Add events that `withdraw` gave elsewhere, however old: those of buckets that are final here are left out."""
        if entry is None and (short := self._append(None, events, horizon)) is not None:
            return short
        after, window = self.spec.bounds, self.spec.window_ms
        return self._merge(
            entry, [event for event in events if after(event[0])[1] + window > horizon], horizon, of_long_ago=True
        )

    def fold(self, entry: bytes | None, events: Sequence[Event], horizon: int = 0) -> tuple[bytes | None, list[Change]]:
        """Add events, in any order, to an actor's entry; return the new one and the counters' changes.

        `entry` is None for an actor without one. `horizon` is a time before which no event can come any more
        (the watermark less the lateness, before these events): what can't matter from then on is left out
        of the entry, and buckets that are final by then never change. The entry depends on the actor's
        events and this horizon, not on their order and batches.
        An event with code 0 counts under `strict_order` only. The new entry is None if no event counts.
        Raises ValueError for an event older than the horizon.
        """
        short = None
        if entry is None or entry[12] | entry[13] << 8 < SMALL:
            short = self._append(entry, events, horizon)
        if short is None and entry is not None:
            short = self._extension.extend(entry, events, horizon)
        return self._merge(entry, events, horizon) if short is None else short

    def _append(
        self, entry: bytes | None, events: Sequence[Event], horizon: int
    ) -> tuple[bytes | None, list[Change]] | None:
        """The short way: few events, each later than the one before, one bucket, one breakdown value that matters.

        Then the chain depends on the sequence of codes alone, and is looked up. None if this is not the case.
        """
        carriers, linked, shape_of = self._carriers, self.linked, self.shapes.of
        text: str | None = None
        before: Shape | None = None
        if entry is None:
            if not events:
                return None, []
            base, last, codes, tail = events[0][0], -1, b"", b""
            times: list[int] = []
        else:
            layout = self.codec.small[entry[12]]
            base, ttl, _, *times, codes = layout.unpack_from(entry)
            if ttl < FOR_GOOD and base + ttl * 1000 <= horizon:
                return self._append(None, events, horizon)
            times.insert(0, 0)
            last = times[-1]
            tail = entry[layout.size :]
            before = shape_of(codes).shape
            if tail or before is not None or carriers != 1:
                text = tail.decode()
        for ts, code, value in events:
            if not code and not self._order:
                continue
            at = ts - base
            if not last < at < WIDE_MS or ts < horizon:
                return None
            if code & carriers and text != value:
                if text is None:
                    text, tail = value, value.encode()
                elif not self._leads:
                    return None
            last = at
            times.append(at)
            codes += self._codes[code] if code < 256 else code.to_bytes(self.codec.width, "little")
        count = len(times)
        if not 0 < count < SMALL or times[0]:
            return None
        shape = shape_of(codes).shape
        changes: list[Change] = []
        if shape is None:
            if horizon > base:
                return None
            expires = self._final_at(base + last) if linked else base + last + 1
        else:
            first, final, _, pick = shape
            start = base + times[first]
            if not self._low <= start < self._high:
                self._low, self._high = self.spec.bounds(start)
            window, high = self.spec.window_ms, self._high
            expires = high + window
            if (
                base + times[final] >= high
                or last - times[first] > window
                or (horizon > base and (first or horizon >= expires))
            ):
                return None
            if linked and base + last >= high:
                expires = self._final_at(base + last)
            old = before.pick(times) if before is not None else ()
            new = pick(times)
            if old != new:
                changes.append(((self._low, text or ""), old, new))
        return self.codec.small[count].pack(base, ttl_of(base, expires), count, *times[1:], codes) + tail, changes

    def _final_at(self, ts: int) -> int:
        """When the bucket of an event is final."""
        if not self._last[0] <= ts < self._last[1]:
            self._last = self.spec.bounds(ts)
        return self._last[1] + self.spec.window_ms

    def _merge(
        self, entry: bytes | None, events: Sequence[Event], horizon: int, *, of_long_ago: bool = False
    ) -> tuple[bytes | None, list[Change]]:
        """The long way: events in any order, any number of buckets and values."""
        spec = self.spec
        if entry is not None and expires_at(entry) <= horizon:
            entry = None
        old, levels, overflow = self.codec.decode(entry) if entry is not None else ([], None, False)
        old = old[self._first_needed(old, horizon) :]
        fresh = self._fresh(events, 0 if of_long_ago else horizon)
        append = not fresh or not old or fresh[0][0] > old[-1][0]
        merged = old + fresh
        if not append:
            merged.sort()
        if self._leads:
            merged = self._led(merged)
        merged = self._distinct(merged)
        touch = _Touch.of(spec, fresh, append)
        if len(merged) > MAX_EVENTS:
            self.dropped += len(merged) - MAX_EVENTS
            del merged[MAX_EVENTS:]
            overflow = True
            if not append:
                touch.until = max(merged[-1][0], old[-1][0])
        if not merged:
            return None, []
        cuts = cuts_of(spec, merged)
        buckets = buckets_of(spec, merged)
        if append:
            known = len(old)
            old_cuts = cuts  # later cuts make no difference to earlier events
            old_buckets = [
                Bucket(low, high, begin, min(after, known), min(end, known))
                for low, high, begin, after, end in buckets
                if begin < known
            ]
        else:
            old_cuts, old_buckets = cuts_of(spec, old), buckets_of(spec, old)
        # The levels written with the entry: the first of their buckets may be final by now. -1 is unknown.
        known_levels = [-1] * len(old_buckets) if levels is None else levels[len(levels) - len(old_buckets) :]
        before = {bucket.low: (bucket, level) for bucket, level in zip(old_buckets, known_levels, strict=True)}
        changes: list[Change] = []
        new_levels: list[int] = []
        for bucket in buckets:
            previous, level = before.pop(bucket.low, (None, 0))
            if level > 0 and not touch.reaches(bucket, level):
                new_levels.append(level)
                continue
            was = contribution(spec, old, old_cuts, previous) if previous else {}
            now = contribution(spec, merged, cuts, bucket)
            new_levels.append(len(next(iter(now.values()))))
            changes += _difference(was, now)
        for previous, _ in before.values():  # its first steps were left out for earlier events
            changes += _difference(contribution(spec, old, old_cuts, previous), {})
        return self.codec.encode(merged, new_levels, overflow), changes

    def _fresh(self, events: Sequence[Event], horizon: int) -> list[Event]:
        fresh: list[Event] = []
        for ts, code, value in events:
            if code or self._order:
                if ts < horizon:
                    raise ValueError(f"a funnel event at {ts} is older than the horizon {horizon}")
                fresh.append((ts, code, value if code & self._carriers else ""))
        fresh.sort()
        return fresh

    def _led(self, events: list[Event]) -> list[Event]:
        """Each first step with the value of its bucket's earliest one (of several at that time the smallest).

        What an actor counts under stays the same, whatever comes later, and one value is short to keep.
        """
        led = []
        high, lead = -1, ""
        for i, event in enumerate(events):
            ts, code, _ = event
            if code & 1:
                if ts >= high:
                    high = self.spec.bounds(ts)[1]
                    ties = events[i : bisect_left(events, (ts + 1,), i)]
                    lead = min(value for _, other, value in ties if other & 1)
                event = (ts, code, lead)
            led.append(event)
        return led

    def _distinct(self, events: list[Event]) -> list[Event]:
        """Without the copies that add nothing: all of them, unless a mode counts events rather than steps."""
        full = self._cut - 1
        later = full - 1 if "strict_deduplication" in self.spec.modes else 0  # again, it ends the chain
        once = "strict_once" in self.spec.modes  # two events with the same two steps can be both
        return [
            event
            for i, event in enumerate(events)
            if not i or event != events[i - 1] or event[1] & later or (once and (event[1] & full).bit_count() > 1)
        ]

    def _first_needed(self, events: Sequence[Event], horizon: int) -> int:
        """Index of the first event that can still matter.

        Those in final buckets can't, and those before the first of the remaining first steps neither,
        unless a first step before them can still come: within the lateness, or by a link.
        """
        i, n = 0, len(events)
        while i < n and events[i][0] < horizon:
            _, high = self.spec.bounds(events[i][0])
            if high + self.spec.window_ms > horizon:
                break
            i = bisect_left(events, (high,), i)
        while i < n and events[i][0] < horizon and not self.linked:
            if events[i][1] & 1:
                return bisect_left(events, (events[i][0],), 0, i)
            i += 1
        return i


@dataclass(slots=True)
class _Touch:
    """Which buckets fresh events can change: those whose range they lie in, and fewer if they come last."""

    window: int
    steps: int
    attribution: str
    append: bool  # the fresh events are later than all old ones
    mask: int  # all their steps
    since: int
    until: int

    @classmethod
    def of(cls, spec: FunnelSpec, fresh: Sequence[Event], append: bool) -> _Touch:
        mask = 0
        for _, code, _ in fresh:
            mask |= code & ((1 << spec.steps) - 1)
        since, until = (fresh[0][0], fresh[-1][0]) if fresh else (0, -1)
        return cls(spec.window_ms, spec.steps, spec.attribution, append, mask, since, until)

    def reaches(self, bucket: Bucket, level: int) -> bool:
        """Whether the contribution to a bucket whose level is known can be another now."""
        if bucket.low > self.until or bucket.high + self.window <= self.since:
            return False
        if not self.append or self.mask >> level & 1:  # a later event changes a chain only as its next step
            return True
        return (self.attribution == "last" and self.mask != 0) or (
            self.attribution == "any" and self.since < bucket.high
        )


def _difference(was: dict[Key, Chain], now: dict[Key, Chain]) -> list[Change]:
    pairs = ((key, was.get(key, ()), now.get(key, ())) for key in was | now)
    return [change for change in pairs if change[1] != change[2]]
