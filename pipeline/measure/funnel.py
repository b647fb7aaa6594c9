"""Funnels: the answer of ClickHouse's `windowFunnel(window, mode...)`, and what one actor adds to counters.

A funnel has 1 to 16 steps. An event carries the set of steps whose conditions it fulfils as a bit mask (bit 0
is the first step). `window_chain` follows ClickHouse's algorithm (AggregateFunctionWindowFunnel.cpp) and
carries along the timestamps of the chain, which ClickHouse does not return; the level is its length.

Ties: ClickHouse sorts (timestamp, step), an event without any step before all others, so within one
millisecond the steps come in funnel order whatever the order of arrival, and one event may be several steps
(unless `strict_once` or `strict_increase` forbid it). Only `strict_once` together with
`strict_deduplication` depends on the order of the rows in ClickHouse; here rows are ordered by (timestamp,
mask), and `pipeline.queries.funnel` hands ClickHouse the same order.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Final, Literal, NamedTuple

from schemas.duration import DAY

MODES: Final = frozenset({"strict_deduplication", "strict_order", "strict_increase", "strict_once"})
MAX_STEPS: Final = 16
MAX_WINDOW_MS: Final = 36_525 * DAY

Attribution = Literal["first", "last", "any"]
#: (ts, code, breakdown value); the code is the mask of steps, and the bit `1 << steps` if it is an exclusion.
Event = tuple[int, int, str]
#: The timestamps of a chain, epoch ms, one a step reached; its length is the level.
Chain = tuple[int, ...]
#: (start of the cohort bucket in epoch ms, breakdown value).
Key = tuple[int, str]


@dataclass(frozen=True)
class FunnelSpec:
    """What is counted.

    `bounds(ts)` gives the cohort bucket `[start, end)` around a time, in epoch ms; buckets must not overlap.
    `attribution` says which breakdown value an actor counts under: `first`, that of its earliest first-step
    event in the bucket (of several at that time the smallest value); `last`, that of its latest step event
    in `[start, end + window)` (of several the largest value); `any`, every value of its first-step events
    in the bucket. Without a breakdown every value is "" and it does not matter.
    """

    steps: int
    window_ms: int
    bounds: Callable[[int], tuple[int, int]]
    modes: frozenset[str] = frozenset()
    attribution: Attribution = "first"

    def __post_init__(self) -> None:
        if not 1 <= self.steps <= MAX_STEPS:
            raise ValueError(f"a funnel has 1 to {MAX_STEPS} steps, not {self.steps}")
        if not 0 < self.window_ms <= MAX_WINDOW_MS:
            raise ValueError("the conversion window must be longer than 0 and at most 100 years")
        if unknown := set(self.modes) - MODES:
            raise ValueError(f"unknown funnel mode {min(unknown)!r}: use {', '.join(sorted(MODES))}")
        if self.attribution not in ("first", "last", "any"):
            raise ValueError(f"unknown attribution {self.attribution!r}: use first, last or any")

    def final_at(self, bucket: int) -> int:
        """When no event at or after this time can change the bucket any more: its end plus the window."""
        return self.bounds(bucket)[1] + self.window_ms

    @property
    def carriers(self) -> int:
        """Mask of the steps whose breakdown value can matter."""
        return (1 << self.steps) - 1 if self.attribution == "last" else 1

    def carries_value(self, code: int) -> bool:
        """Whether the breakdown value of an event with this code can matter."""
        return code & self.carriers != 0


def window_funnel(events: Iterable[tuple[int, int]], steps: int, window: int, modes: Iterable[str] = ()) -> int:
    """The level that `windowFunnel(window, modes...)` gives for events (ts, mask), in any order."""
    return len(window_chain(events, steps, window, modes))


def window_chain(events: Iterable[tuple[int, int]], steps: int, window: int, modes: Iterable[str] = ()) -> Chain:
    """The chain with which the level of `windowFunnel` is first reached, in ClickHouse's order of processing.

    `events` are (ts, mask) in any order; a mask of 0 is an event without a step, which matters for
    `strict_order` only. `window` has the unit of ts and includes its end. Among several chains that reach a
    level at the same event it is the one that started last, as in ClickHouse, which keeps the latest start
    of each level.
    """
    order = "strict_order" in modes
    if "strict_once" not in modes:
        items = [(ts, step) for ts, mask in events for step in _steps_of(mask, order)]
        items.sort()
        return _chain(items, steps, window, order, "strict_deduplication" in modes, "strict_increase" in modes)
    rows = sorted((ts, mask) for ts, mask in events if mask or order)
    if "strict_deduplication" in modes:
        return _chain_once_deduplicated(rows, steps, window, order, "strict_increase" in modes)
    return _chain_once(rows, steps, window, order, "strict_increase" in modes)


_STEPS: dict[int, tuple[int, ...]] = {}  # at most 2**16 entries


def _steps_of(mask: int, order: bool) -> tuple[int, ...]:
    """The steps (from 1) of a mask; an event without steps is step 0 under strict_order and nothing
    otherwise."""
    if not mask:
        return (0,) if order else ()
    found = _STEPS.get(mask)
    if found is None:
        found = _STEPS[mask] = tuple(i + 1 for i in range(mask.bit_length()) if mask >> i & 1)
    return found


def _chain(
    items: Sequence[tuple[int, int]], steps: int, window: int, order: bool, deduplicate: bool, increase: bool
) -> Chain:
    """`getEventLevelNonStrictOnce` on sorted (ts, step): `latest[k]` is the chain that last reached step
    k."""
    latest: list[Chain] = [()] * (steps + 1)
    best: Chain = ()
    for ts, step in items:
        if step == 1:
            latest[1] = (ts,)
            if not best:
                best = (ts,)
        elif step == 0:
            if best:
                break
        elif deduplicate and latest[step]:
            break
        elif previous := latest[step - 1]:
            if ts <= previous[0] + window and (not increase or previous[-1] < ts):
                latest[step] = chain = (*previous, ts)
                if step > len(best):
                    best = chain
                    if step == steps:
                        break
        elif order and best:
            break
    return best


def _chain_once(rows: Sequence[tuple[int, int]], steps: int, window: int, order: bool, increase: bool) -> Chain:
    """`strict_once`: no event is two steps of one chain.

    ClickHouse keeps every path, whose number explodes. Only the events of one timestamp can conflict, and
    of the earlier paths only the one that started last matters, so per timestamp the steps of a run are
    matched to distinct events (bipartite matching by augmenting paths): same level, polynomial time.
    """
    latest: list[Chain] = [()] * (steps + 1)
    best: Chain = ()
    for ts, group in groupby(rows, key=itemgetter(0)):
        masks = [mask for _, mask in group]
        if masks[0] == 0:
            if best:
                break
            masks = [mask for mask in masks if mask]
        present = 0
        for mask in masks:
            present |= mask
        before = latest.copy()
        reach: dict[int, int] = {}  # step a chain stands at before this ts -> step it can get to within it
        for step in _steps_of(present, order=False):
            if step > 1 and not latest[step - 1]:
                if order and best:
                    return best
                continue
            for start in range(step - 1 if increase else 0, step):
                if start and not (before[start] and ts <= before[start][0] + window):
                    continue
                if start not in reach:
                    reach[start] = start + 1 if increase else _run(start, masks, steps)
                if reach[start] >= step:
                    latest[step] = chain = before[start] + (ts,) * (step - start)
                    if step > len(best):
                        best = chain
                    break
        if len(best) == steps:
            break
    return best


def _run(start: int, masks: Sequence[int], steps: int) -> int:
    """The furthest step so that all steps after `start` up to it can be distinct events among `masks`."""
    owner: dict[int, int] = {}  # event -> step

    def place(step: int, tried: set[int]) -> bool:
        for event, mask in enumerate(masks):
            if mask >> (step - 1) & 1 and event not in tried:
                tried.add(event)
                if event not in owner or place(owner[event], tried):
                    owner[event] = step
                    return True
        return False

    step = start
    while step < steps and place(step + 1, set()):
        step += 1
    return step


def _chain_once_deduplicated(
    rows: Sequence[tuple[int, int]], steps: int, window: int, order: bool, increase: bool
) -> Chain:
    """`strict_once` and `strict_deduplication`: every step after the first is taken by one event for good.

    So the paths to a step differ in their start alone: `starts[k]` are the (ts, row) from which step k was
    reached.
    """
    items = sorted((ts, step, row) for row, (ts, mask) in enumerate(rows) for step in _steps_of(mask, order))
    starts: list[list[tuple[int, int]]] = [[] for _ in range(steps + 1)]
    taken: list[tuple[int, int]] = []  # (ts, row) of the steps from the second on
    best: Chain = ()
    for ts, step, row in items:
        if step == 0:
            if best:
                break
        elif step == 1:
            starts[1].append((ts, row))
            best = best or (ts,)
        elif starts[step]:
            break
        elif starts[step - 1]:
            if any(row == other for _, other in taken) or (increase and taken and taken[-1][0] >= ts):
                continue
            fit = [
                (first, at)
                for first, at in starts[step - 1]
                if ts <= first + window and at != row and not (increase and first >= ts)
            ]
            if fit:
                starts[step] = fit
                taken.append((ts, row))
                best = (fit[-1][0], *(at for at, _ in taken))
                if step == steps:
                    break
        elif order and best:
            break
    return best


def best_chain(spec: FunnelSpec, rows: Sequence[tuple[int, int]], cuts: Sequence[int]) -> Chain:
    """The longest chain over the segments into which exclusion events at `cuts` (sorted ts) divide the
    timeline.

    `rows` are (ts, mask), sorted. An event at the very time of an exclusion belongs to the segment before it.
    Of chains of equal length it is the one of the earliest segment.
    """
    if not cuts:
        return window_chain(rows, spec.steps, spec.window_ms, spec.modes)
    best: Chain = ()
    for _, segment in groupby(rows, key=lambda row: bisect_left(cuts, row[0])):
        chain = window_chain(segment, spec.steps, spec.window_ms, spec.modes)
        if len(chain) > len(best):
            best = chain
    return best


class Bucket(NamedTuple):
    """A cohort bucket `[low, high)` in which the actor has a first step, as slices of its sorted events."""

    low: int
    high: int
    begin: int  # first event at the time of the bucket's first first-step event
    after: int  # first event at or after `high`
    end: int  # first event that is too late for every chain of the bucket


def buckets_of(spec: FunnelSpec, events: Sequence[Event]) -> list[Bucket]:
    """The buckets with a first step among `events` (sorted), in order of time."""
    found: list[Bucket] = []
    i, n = 0, len(events)
    while i < n:
        event = events[i]
        if event[1] & 1:
            low, high = spec.bounds(event[0])
            begin, i = bisect_left(events, (event[0],), 0, i), bisect_left(events, (high,), i)
            found.append(Bucket(low, high, begin, i, bisect_left(events, (high + spec.window_ms,), i)))
        else:
            i += 1
    return found


def contribution(spec: FunnelSpec, events: Sequence[Event], cuts: Sequence[int], bucket: Bucket) -> dict[Key, Chain]:
    """What one actor adds to one bucket: the chain it got to, under each breakdown value it counts for.

    The first step is cleared from events outside of the bucket. Nothing outside of `[low, high + window)` can
    matter: no chain of the bucket begins before or ends after it. `cuts` are the actor's exclusion times,
    sorted.
    """
    low, _, begin, after, end = bucket
    full = (1 << spec.steps) - 1
    later = full - 1
    order = "strict_order" in spec.modes
    rows = [(ts, code & full) for ts, code, _ in events[begin:after] if code & full or order]
    rows += [(ts, code & later) for ts, code, _ in events[after:end] if code & later or order]
    chain = best_chain(spec, rows, cuts)
    if spec.attribution == "last":
        value = max((ts, value) for ts, code, value in events[begin:end] if code & full)[1]
        return {(low, value): chain}
    firsts = [(ts, value) for ts, code, value in events[begin:after] if code & 1]
    if spec.attribution == "first":
        return {(low, min(firsts)[1]): chain}
    return dict.fromkeys(sorted((low, value) for _, value in firsts), chain)


def contributions(spec: FunnelSpec, events: Iterable[Event]) -> dict[Key, Chain]:
    """What one actor with these events (all of them, in any order) adds to the counters."""
    timeline = sorted(events)
    cuts = cuts_of(spec, timeline)
    found: dict[Key, Chain] = {}
    for bucket in buckets_of(spec, timeline):
        found.update(contribution(spec, timeline, cuts, bucket))
    return found


def cuts_of(spec: FunnelSpec, events: Iterable[Event]) -> list[int]:
    """The times of the exclusion events."""
    return [ts for ts, code, _ in events if code >> spec.steps]
