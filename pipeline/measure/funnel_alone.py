"""Events of one code, each the only one of its actor in a batch: nearly all there are, in one pass.

What `FunnelFold.fold` says of one event, without what is the same for all of them. Whatever is not as usual goes there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from pipeline.measure.entries import Entries
from pipeline.measure.funnel import Chain, Key
from pipeline.measure.funnel_extend import WIDE_MS, Change
from pipeline.measure.funnel_fold import FunnelFold
from pipeline.measure.funnel_state import FOR_GOOD, SMALL, START


class Folded(NamedTuple):
    """How the counters change."""

    changes: list[Change]
    #: Actors that had no entry, by bucket and value: they all have the chain `begins`.
    begun: dict[Key, int]
    begins: Chain


def fold_alone(
    fold: FunnelFold,
    entries: Entries,
    code: int,
    events: Iterable[tuple[str, int, str]],
    horizon: int,
    changed: dict[str, bytes],
) -> Folded:
    """Fold events (actor, ts, value; the value is "" where it can't matter) of one code into `entries`.

    `changed` gets the entries that changed as well. Raises ValueError for an event older than the horizon.
    """
    spec, shapes, small, linked = fold.spec, fold.shapes, fold.codec.small, fold.linked
    bounds, window, carriers, leads = spec.bounds, spec.window_ms, spec.carriers, spec.attribution == "first"
    carries = bool(code & carriers)
    packed = code.to_bytes(fold.codec.width, "little")
    alone, found = shapes.of(packed).shape, shapes.found
    # Until when an entry matters: with links, and with a first step, as long as its bucket.
    lasts = linked or alone is not None
    get, pack = entries.get, START.pack
    changes: list[Change] = []
    # What is behind the times in the entry of one event, by its value.
    rest = one = (1).to_bytes(2, "little") + packed
    rests: dict[str, bytes] = {}
    # By bucket, the values of those that had no entry.
    begun: dict[int, list[str]] = {}
    values: list[str] = []
    low = high = first_low = first_high = 0  # the bucket of an event, and of a first step, that was looked up last
    for actor, ts, value in events:
        entry = get(actor)
        new: bytes | None = None
        if not low <= ts < high:
            low, high = bounds(ts)
            values = begun.setdefault(low, [])
        if ts < horizon:
            pass
        elif not entry:
            ttl = (high + window - ts + 999) // 1000 if lasts else 1
            if carries:
                rest = rests.get(value) or rests.setdefault(value, one + value.encode())
            new = pack(ts, ttl if ttl < FOR_GOOD else FOR_GOOD) + rest
            values.append(value)
        elif not entry[13] and (count := entry[12]) < SMALL - 1:
            layout = small[count]
            base, ttl, _, *times, codes = layout.unpack_from(entry)
            at, tail = ts - base, entry[layout.size :]
            codes += packed
            after, before, still = found.get(codes) or shapes.make(codes)
            if (
                (times[-1] if times else 0) < at < WIDE_MS
                and (ttl == FOR_GOOD or base + ttl * 1000 > horizon)
                and (not carries or leads or not (tail or before or carriers != 1) or tail == value.encode())
            ):
                if carries and not (tail or before or carriers != 1):
                    tail = value.encode()
                expires = high + window if linked else ts + 1
                fits = horizon <= base
                if after is not None:
                    start, last = base, base
                    if after.first:
                        start = ts if after.first == count else base + times[after.first - 1]
                    if after.final:
                        last = ts if after.final == count else base + times[after.final - 1]
                    if not first_low <= start < first_high:
                        first_low, first_high = bounds(start)
                    until = first_high + window
                    fits = (
                        last < first_high
                        and ts - start <= window
                        and (horizon <= base or not (after.first or horizon >= until))
                    )
                    if not linked or ts < first_high:
                        expires = until
                if fits:
                    ttl = (expires - base + 999) // 1000
                    if not still and after is not None:
                        all_times = [0, *times, at]
                        was = before.pick(all_times) if before is not None else ()
                        changes.append(((first_low, tail.decode()), was, after.pick(all_times)))
                    count += 1
                    ttl = ttl if ttl < FOR_GOOD else FOR_GOOD
                    new = small[count].pack(base, ttl, count, *times, at, codes) + tail
        if new is None:
            new, more = fold.fold(entry or None, [(ts, code, value)], horizon)
            changes += more
            if new is None or new == entry:
                continue
        entries[actor] = changed[actor] = new
    if alone is None:
        return Folded(changes, {}, ())
    counts = {(bucket, value): n for bucket, own in begun.items() for value, n in Counter(own).items()}
    return Folded(changes, counts, alone.pick([0]))
