"""What a short sequence of codes comes to: of events at different times, in one bucket and within the window, the
chain depends on the sequence alone, and is looked up.

So it is the same for all funnels of as many steps and the same modes, whatever their steps and windows are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from operator import itemgetter
from typing import Final, NamedTuple

from pipeline.measure.funnel import Chain, FunnelSpec, contributions
from pipeline.measure.funnel_extend import Extension
from pipeline.measure.funnel_state import SMALL, EntryCodec

#: Sequences that are remembered; then all are forgotten.
_MAX: Final = 1 << 15


class Shape(NamedTuple):
    """Of a sequence with a first step: the chain out of all the times."""

    first: int  # number of the first first step
    final: int  # and of the last one
    picked: tuple[int, ...]  # the numbers of the chain's events
    pick: Callable[[Sequence[int]], Chain]


class KnownShape(NamedTuple):
    """The shapes of a sequence and of the one without its last event; None where there is no first step."""

    shape: Shape | None
    before: Shape | None
    #: Whether the chain is the same with and without the last event.
    still: bool


class Shapes:
    """The shapes of the sequences of funnels with these steps and modes."""

    def __init__(self, steps: int, modes: frozenset[str]) -> None:
        #: By its places in time: all of it lies in one bucket and within the window.
        self._spec = FunnelSpec(steps, SMALL, lambda ts: (0, SMALL), modes)
        codec = EntryCodec(self._spec)
        self._width = codec.width
        self._extension = Extension(self._spec, False, codec)
        #: What was asked for already.
        self.found: dict[bytes, KnownShape] = {}

    def of(self, codes: bytes) -> KnownShape:
        """What a sequence (not empty) comes to."""
        return self.found.get(codes) or self.make(codes)

    def make(self, codes: bytes) -> KnownShape:
        """What a sequence comes to that is not `found` yet."""
        before = self.of(codes[: -self._width]).shape if len(codes) > self._width else None
        shape = self._shape(codes)
        if len(self.found) >= _MAX:
            self.found.clear()
        still = (shape.picked if shape else ()) == (before.picked if before else ())
        found = self.found[codes] = KnownShape(shape, before, still)
        return found

    def _shape(self, codes: bytes) -> Shape | None:
        width = self._width
        numbers = [int.from_bytes(codes[i : i + width], "little") for i in range(0, len(codes), width)]
        firsts = [i for i, code in enumerate(numbers) if code & 1]
        if not firsts:
            return None
        places = range(len(numbers))
        chains = self._extension.chains(places, numbers, firsts[0], SMALL, SMALL, SMALL)
        if chains is not None:
            picked = chains[1]
        else:
            (picked,) = contributions(self._spec, [(i, code, "") for i, code in enumerate(numbers)]).values()
        return Shape(firsts[0], firsts[-1], picked, itemgetter(*picked) if len(picked) > 1 else _single(picked[0]))


@cache
def shapes_of(steps: int, modes: frozenset[str]) -> Shapes:
    """The shapes of funnels with these steps and modes, which they share."""
    return Shapes(steps, modes)


def _single(index: int) -> Callable[[Sequence[int]], Chain]:
    return lambda times: (times[index],)
