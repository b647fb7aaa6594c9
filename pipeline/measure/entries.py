"""Where the funnels' actors have their entries: in memory, or wherever else offers the same."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator
from typing import Protocol

from pipeline.measure.funnel_state import expires_at
from schemas.duration import HOUR


class Entries(Protocol):
    """One funnel view's entries by actor."""

    def get(self, actor: str, /) -> bytes | None:
        """The actor's entry, None if there is none."""

    def __setitem__(self, actor: str, entry: bytes, /) -> None:
        """Put an entry."""

    def __len__(self) -> int:
        """About how many entries there are."""

    def actors(self) -> Iterator[str]:
        """All actors; entries may be put and dropped meanwhile."""

    def drop_expired(self, horizon: int, keep: Container[str]) -> int:
        """Drop entries that can't matter from `horizon` (epoch ms) on, except those in `keep`; how many went.

        Some may be left for the next call: an expired entry is as good as none.
        """


#: Makes the entries of a view: (funnel, definition, breakdown).
NewEntries = Callable[[str, str, str], Entries]


class MemoryEntries(dict[str, bytes]):
    """Entries in memory."""

    #: How many were left when all were looked at last, and at which horizon that was.
    _left = _looked_at = 0

    def actors(self) -> Iterator[str]:
        """All actors as of now."""
        return iter(list(self))

    def drop_expired(self, horizon: int, keep: Container[str]) -> int:
        """Drop all expired entries but those in `keep`, if there are a quarter more than were left, or an hour is over.

        To look at all of them takes its time, and in a back-fill ten minutes are over at once.
        """
        if 4 * len(self) < 5 * self._left and horizon < self._looked_at + HOUR:
            return 0
        old = [actor for actor, entry in self.items() if expires_at(entry) < horizon and actor not in keep]
        for actor in old:
            del self[actor]
        self._left, self._looked_at = len(self), horizon
        return len(old)


def in_memory(*_: str) -> Entries:
    """The `NewEntries` of the memory store."""
    return MemoryEntries()
