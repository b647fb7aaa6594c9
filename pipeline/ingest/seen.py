"""Which event ids a partition has seen: a set of 64-bit hashes that forgets by stream time.

Ids are kept in generations of half the horizon. The current generation and the two before it in which there were
events are remembered, so an id is known for at least one horizon; where events come without a pause, for at most
one and a half. Two different ids among N remembered share a hash with a chance of about N / 2^64 an event (10
million ids: 5e-13).

A generation is an open-addressing table in one array: 8 bytes a slot, between half and three quarters full,
so 11 to 16 bytes an id, where a Python set of integers takes about 70.

Whoever sends events chooses their ids, and the hash is public: ids can be made whose hashes lie side by side, and each
of them would have to be compared with all the others. So the hashes are scrambled by a secret of the process before
they choose their slots. It never leaves the tables: what is remembered, and what a checkpoint holds, are the hashes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

U64 = npt.NDArray[np.uint64]
_EMPTY = np.uint64(0)
_MIN_SLOTS = 1024


class _Scrambler:
    """A bijection of 64-bit numbers that can't be guessed. 0 stays 0."""

    _HALF: Final = np.uint64(32)

    def __init__(self, secret: bytes) -> None:
        odd = [int.from_bytes(secret[i : i + 8], "little") | 1 for i in (0, 8)]
        self._there = [np.uint64(number) for number in odd]
        self._back = [np.uint64(pow(number, -1, 1 << 64)) for number in odd]

    def scramble(self, hashes: U64) -> U64:
        first, second = self._there
        mixed = hashes * first
        mixed ^= mixed >> self._HALF
        mixed *= second
        mixed ^= mixed >> self._HALF
        return mixed

    def unscramble(self, mixed: U64) -> U64:
        first, second = self._back
        hashes = (mixed ^ (mixed >> self._HALF)) * second
        hashes ^= hashes >> self._HALF
        hashes *= first
        return hashes


_SECRET: Final = _Scrambler(os.urandom(16))


class HashTable:
    """A growing set of non-zero 64-bit hashes, filled and asked in batches."""

    def __init__(self) -> None:
        self.slots: U64 = np.zeros(_MIN_SLOTS, np.uint64)
        self.used = 0

    def contains(self, hashes: U64) -> npt.NDArray[np.bool_]:
        """Which of `hashes` are in the set."""
        found = np.zeros(len(hashes), np.bool_)
        if not self.used:
            return found
        size = len(self.slots)
        open_ = np.arange(len(hashes))
        at = self._home(hashes)
        while len(open_):
            there = self.slots[at]
            hit = there == hashes[open_]
            found[open_[hit]] = True
            go_on = ~hit & (there != _EMPTY)
            open_, at = open_[go_on], at[go_on] + 1
            at[at == size] = 0
        return found

    def add(self, hashes: U64) -> None:
        """Add `hashes`: distinct, non-zero, and none of them in the set yet."""
        need = self.used + len(hashes)
        if need * 4 > len(self.slots) * 3:
            old = self.slots[self.slots != _EMPTY]
            self.slots = np.zeros(max(_MIN_SLOTS, need * 2), np.uint64)
            self._place(old)
        self._place(hashes)
        self.used = need

    def values(self) -> U64:
        """All hashes in the set, in no useful order."""
        found: U64 = self.slots[self.slots != _EMPTY]
        return found

    def _home(self, hashes: U64) -> npt.NDArray[np.int64]:
        # Multiply and shift: maps to any table size, not just powers of two, so that growth can be gentle.
        high = (hashes >> np.uint64(32)) * np.uint64(len(self.slots))
        return (high >> np.uint64(32)).astype(np.int64)

    def _place(self, hashes: U64) -> None:
        slots, size = self.slots, len(self.slots)
        left, at = hashes, self._home(hashes)
        while len(left):
            free = slots[at] == _EMPTY
            slots[at[free]] = left[free]
            # Two of one batch may have written the same slot: the later one stays, the other tries the next.
            lost = slots[at] != left
            left, at = left[lost], at[lost] + 1
            at[at == size] = 0


def distinct(hashes: U64) -> U64:
    """Each hash once. numpy's `unique` looks them up one by one, which takes ten times as long."""
    found = np.sort(hashes)
    first = np.ones(len(found), np.bool_)
    first[1:] = found[1:] != found[:-1]
    return found[first]


class SeenIds:
    """The ids of one partition within the horizon."""

    #: Generations remembered besides the current one, of those that have ids.
    KEPT = 2

    def __init__(self, horizon_ms: int) -> None:
        self.span = max(1, horizon_ms // 2)
        self.generation = 0
        self.tables: dict[int, HashTable] = {}

    def generation_of(self, watermark: int) -> int:
        """The generation that ids arriving at this watermark belong to."""
        return watermark // self.span

    def move_to(self, generation: int) -> None:
        """Begin `generation` and forget all but the two before it that have ids; never moves back."""
        if generation > self.generation:
            self.generation = generation
            for old in sorted(self.tables)[: -self.KEPT]:
                del self.tables[old]

    def contains(self, hashes: U64) -> npt.NDArray[np.bool_]:
        """Which of `hashes` are remembered."""
        found, mixed = np.zeros(len(hashes), np.bool_), _SECRET.scramble(hashes)
        for table in self.tables.values():
            found |= table.contains(mixed)
        return found

    def not_in_current(self, hashes: U64) -> U64:
        """Those of `hashes` that the current generation doesn't have, though older ones may."""
        table = self.tables.get(self.generation)
        return hashes if table is None else hashes[~table.contains(_SECRET.scramble(hashes))]

    def add(self, hashes: U64, generation: int | None = None) -> None:
        """Remember new, distinct hashes in `generation` (the current one if None)."""
        if len(hashes):
            key = self.generation if generation is None else generation
            table = self.tables.get(key)
            if table is None:
                table = self.tables[key] = HashTable()
            table.add(_SECRET.scramble(hashes))

    def __len__(self) -> int:
        return sum(table.used for table in self.tables.values())

    def nbytes(self) -> int:
        """Memory of the tables in bytes."""
        return sum(table.slots.nbytes for table in self.tables.values())

    def dump(self, chunk: int = 100_000) -> Iterator[tuple[int, U64]]:
        """(generation, hashes) in pieces of at most `chunk`, for a checkpoint."""
        for generation, table in sorted(self.tables.items()):
            values = _SECRET.unscramble(table.values())
            for start in range(0, len(values), chunk):
                yield generation, values[start : start + chunk]
