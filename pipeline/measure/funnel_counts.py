"""Counters of a funnel: actors per level and the time from step to step, for each bucket and breakdown value.

Everything is an exact sum over actors, so what an actor counted can be taken back when late events change
it, and the counters of several partitions add up.
"""

from __future__ import annotations

import struct
from bisect import bisect_left
from collections.abc import Iterable, KeysView, Mapping
from itertools import pairwise
from typing import Final

from pipeline.measure.funnel import Chain, FunnelSpec, Key
from pipeline.measure.funnel_extend import Change

#: The bins' bounds grow by this factor: the middle of a bin is within 1 % of every value in it.
GAMMA: Final = 1.01 / 0.99
#: The bin of a time of 0 ms.
ZERO_BIN: Final = -1


def _bounds() -> list[int]:
    """The largest whole number of each bin, floor(gamma ** i), computed in integers up to 2**53."""
    bounds, above, below = [1], 1, 1
    while bounds[-1] < 1 << 53:
        above, below = above * 101, below * 99
        bounds.append(above // below)
    return bounds


_BOUNDS: Final = _bounds()


def bin_of(ms: int) -> int:
    """The bin of a time in ms: ceil(log(ms) / log(GAMMA)), or ZERO_BIN for 0."""
    return bisect_left(_BOUNDS, ms) if ms else ZERO_BIN


def middle(index: int) -> float:
    """The value in ms that stands for a bin: within 1 % of all in it."""
    return 0.0 if index == ZERO_BIN else 2 * GAMMA**index / (GAMMA + 1)


class StepTimes:
    """The times from one step to the next, in ms: exact count and sum, and a logarithmic histogram.

    The bins are those of DDSketch (Masson, Rim, Lee: "DDSketch: a fast and fully-mergeable quantile sketch
    with relative-error guarantees", VLDB 2019) with a relative error of 1 %. None is ever collapsed, so it
    is a plain multiset of bins, and what was added can be taken away again.
    """

    __slots__ = ("bins", "count", "sum_ms")

    def __init__(self, sum_ms: int = 0, bins: dict[int, int] | None = None) -> None:
        self.sum_ms = sum_ms
        self.bins = bins or {}
        self.count = sum(self.bins.values())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, StepTimes) and (self.sum_ms, self.bins) == (other.sum_ms, other.bins)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"StepTimes(sum_ms={self.sum_ms}, bins={dict(sorted(self.bins.items()))})"

    def add(self, ms: int) -> None:
        """Count one time."""
        index = bisect_left(_BOUNDS, ms) if ms else ZERO_BIN
        self.bins[index] = self.bins.get(index, 0) + 1
        self.count += 1
        self.sum_ms += ms

    def remove(self, ms: int) -> None:
        """Take back a time that was counted. Raises KeyError if none of its bin was."""
        index = bin_of(ms)
        left = self.bins[index] - 1
        if left:
            self.bins[index] = left
        else:
            del self.bins[index]
        self.count -= 1
        self.sum_ms -= ms

    def merge(self, other: StepTimes) -> None:
        """Add all that another has counted."""
        for index, count in other.bins.items():
            self.bins[index] = self.bins.get(index, 0) + count
        self.count += other.count
        self.sum_ms += other.sum_ms

    @property
    def mean(self) -> float | None:
        """The exact mean in ms; None without any time."""
        return self.sum_ms / self.count if self.count else None

    @property
    def median(self) -> float | None:
        """The median in ms, within 1 %; of an even number the mean of the two in the middle."""
        return self.quantile(0.5)

    def quantile(self, q: float) -> float | None:
        """The q-quantile (0 to 1) in ms, within 1 %, linear between neighbours; None without any time."""
        if not 0 <= q <= 1:
            raise ValueError(f"a quantile lies between 0 and 1, not at {q}")
        if not self.count:
            return None
        rank = q * (self.count - 1)
        low = int(rank)
        wanted, found, seen = [low, min(low + 1, self.count - 1)], list[float](), 0
        for index in sorted(self.bins):
            seen += self.bins[index]
            while len(found) < 2 and wanted[len(found)] < seen:
                found.append(middle(index))
            if len(found) == 2:
                break
        return found[0] + (rank - low) * (found[1] - found[0])


class FunnelCell:
    """One bucket and breakdown value: `counts[k]` actors got exactly to step k; `times[k]` from step k+1 to
    k+2."""

    __slots__ = ("counts", "times")

    def __init__(self, steps: int) -> None:
        self.counts = [0] * (steps + 1)
        self.times = [StepTimes() for _ in range(steps - 1)]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FunnelCell) and (self.counts, self.times) == (other.counts, other.times)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"FunnelCell(counts={self.counts}, times={self.times})"

    @property
    def users(self) -> list[int]:
        """The actors that got to each step or further, from the first step on."""
        users, total = [], 0
        for count in self.counts[:0:-1]:
            total += count
            users.append(total)
        return users[::-1]

    def merge(self, other: FunnelCell) -> None:
        """Add another accumulator: actors of other partitions."""
        self.counts = [mine + theirs for mine, theirs in zip(self.counts, other.counts, strict=True)]
        for mine, theirs in zip(self.times, other.times, strict=True):
            mine.merge(theirs)

    def dump(self) -> bytes:
        """As bytes, the same for equal accumulators: steps uint8, counts uint64; per time sum uint64, bins, width,
        pairs."""
        parts = [struct.pack(f"<B{len(self.counts) - 1}Q", len(self.counts) - 1, *self.counts[1:])]
        for times in self.times:
            n = len(times.bins)
            width = "Q" if n and max(times.bins.values()) >> 32 else "I"
            parts.append(struct.pack("<QHc", times.sum_ms, n, width.encode()))
            indexes = sorted(times.bins)
            parts.append(struct.pack(f"<{n}h{n}{width}", *indexes, *[times.bins[i] for i in indexes]))
        return b"".join(parts)

    @classmethod
    def load(cls, data: bytes) -> FunnelCell:
        """The accumulator that `dump` wrote."""
        accumulator = cls(data[0])
        accumulator.counts[1:] = struct.unpack_from(f"<{data[0]}Q", data, 1)
        at = 1 + 8 * data[0]
        for k in range(data[0] - 1):
            total, n, width = struct.unpack_from("<QHc", data, at)
            layout = struct.Struct(f"<{n}h{n}{width.decode()}")
            pairs = layout.unpack_from(data, at + 11)
            accumulator.times[k] = StepTimes(total, dict(zip(pairs[:n], pairs[n:], strict=True)))
            at += 11 + layout.size
        return accumulator


class FunnelCounters:
    """All accumulators of one funnel, by (bucket, breakdown value)."""

    def __init__(self, spec: FunnelSpec) -> None:
        self._steps = spec.steps
        self._cells: dict[Key, FunnelCell] = {}

    def keys(self) -> KeysView[Key]:
        """All keys, also of accumulators that hold no actor any more: their zeros must get out too."""
        return self._cells.keys()

    def apply(self, changes: Iterable[Change]) -> set[Key]:
        """Count what folding changed; return the keys of the accumulators that are new or different."""
        keys = set()
        for key, old, new in changes:
            accumulator = self._cells.get(key)
            if accumulator is None:
                accumulator = self._cells[key] = FunnelCell(self._steps)
            was, now, times = len(old), len(new), accumulator.times
            same = was if new[:was] == old else 0
            for k in range(1, 0 if same else was):
                times[k - 1].remove(old[k] - old[k - 1])
            for k in range(same or 1, now):
                times[k - 1].add(new[k] - new[k - 1])
            if was:
                accumulator.counts[was] -= 1
            if now:
                accumulator.counts[now] += 1
            keys.add(key)
        return keys

    def begin(self, actors: Mapping[Key, int], chain: Chain) -> KeysView[Key]:
        """Count so many actors more, all with this chain; return the keys of the accumulators."""
        for key, count in actors.items():
            accumulator = self._cells.get(key)
            if accumulator is None:
                accumulator = self._cells[key] = FunnelCell(self._steps)
            accumulator.counts[len(chain)] += count
            for times, (since, at) in zip(accumulator.times, pairwise(chain), strict=False):
                for _ in range(count):
                    times.add(at - since)
        return actors.keys()

    def summary(self, keys: Iterable[Key]) -> FunnelCell | None:
        """The sum of these accumulators; None if there is none of them."""
        accumulators = [self._cells[key] for key in keys if key in self._cells]
        if not accumulators:
            return None
        total = FunnelCell(self._steps)
        for accumulator in accumulators:
            total.merge(accumulator)
        return total

    def dump(self, key: Key) -> bytes | None:
        """One accumulator as bytes, None without it."""
        accumulator = self._cells.get(key)
        return None if accumulator is None else accumulator.dump()

    def load(self, key: Key, data: bytes) -> None:
        """Set one accumulator to what `dump` gave."""
        self._cells[key] = FunnelCell.load(data)

    def drop(self, key: Key) -> None:
        """Forget an accumulator, of a bucket that is final."""
        self._cells.pop(key, None)
