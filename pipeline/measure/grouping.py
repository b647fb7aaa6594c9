"""Which rows of some columns belong together: numbers for values, and groups of rows with equal numbers. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from itertools import count
from typing import Final

import numpy as np
import numpy.typing as npt

#: A number for each row, from 0 on.
Codes = npt.NDArray[np.int64]
#: Numbers below this are sorted by counting, which takes a tenth of comparing them.
_SMALL: Final = 1 << 16


def codes_of(values: Sequence[Hashable]) -> Codes:
    """Equal values have equal numbers: their places among the different ones."""
    places: defaultdict[Hashable, int] = defaultdict(count().__next__)
    return np.fromiter(map(places.__getitem__, values), np.int64, len(values))


def near(numbers: Codes) -> Codes:
    """Codes of whole numbers that mostly lie close together. There must be one at least."""
    found = numbers - numbers.min()
    return found if found.max() < _SMALL else codes_of(numbers.tolist())


def pairs(these: Codes, those: Codes) -> Codes:
    """Codes of the pairs of two columns."""
    width = int(those.max()) + 1
    if (int(these.max()) + 1) * width >= 1 << 62:
        these = np.unique(these, return_inverse=True)[1]
    return these * width + those


class Groups:
    """The rows of equal codes: `order` is all rows, group after group, and in a group as they came."""

    def __init__(self, codes: Codes) -> None:
        small = codes.astype(np.uint16) if codes.max() < _SMALL else codes
        self.order = np.argsort(small, kind="stable")
        ordered = small[self.order]
        starts = np.flatnonzero(ordered[1:] != ordered[:-1]) + 1
        self._starts = [0, *starts.tolist()]
        self._ends = [*self._starts[1:], len(codes)]

    def __len__(self) -> int:
        """How many groups there are."""
        return len(self._starts)

    def __iter__(self) -> Iterator[tuple[int, slice]]:
        """Of each group its first row, and its place in `order`; in the order of the first rows."""
        firsts = self.order[self._starts].tolist()
        for first, start, end in sorted(zip(firsts, self._starts, self._ends, strict=True)):
            yield first, slice(start, end)
