"""Which old user ids belong to which new ones: decided for all of them by one partition, in the order of its log.

Each alias is right by itself, and two of them may make a circle: whoever decides has to know all. So claims of aliases
are told to the home of `ALIASES`, which refuses one that would make a circle or too long a chain, and tells the others
on to the old id's home. What follows from it: docs/decisions/0013-a-person.md.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

import xxhash

from pipeline.ingest.links import MAX_HOPS, OwnerStore
from pipeline.ingest.partitioner import homes_of

#: Its home decides on aliases. No user_id, and no device as a key, stands for it: it is a name of ours.
ALIASES: Final = "$aliases"
#: Aliases that may follow each other: a device's link comes before them.
LONGEST_CHAIN: Final = MAX_HOPS - 1


def deciding(partitions: int) -> int:
    """The partition that decides on aliases."""
    return int(homes_of([ALIASES], partitions)[0])


class _Entry(NamedTuple):
    """Of a user id: the new id that it belongs to ("" if none), how many aliases lead to it one after the other at
    most, and hashes of the users whose claims on it were refused."""

    owner: str = ""
    height: int = 0
    refused: tuple[bytes, ...] = ()


class Aliases:
    """All aliases, as the partition that decides on them keeps them.

    Of one id at most `limit` claims are noted, as of a device. An entry is two bytes (how many were refused, height),
    eight of hash for each that was refused, and the new id in UTF-8.
    """

    def __init__(self, limit: int, store: OwnerStore | None = None) -> None:
        self._limit = limit
        self._store: OwnerStore = {} if store is None else store
        #: Ids whose entry has changed since the last checkpoint.
        self.changed: set[str] = set()

    def claim(self, old: str, new: str) -> Literal["linked", "refused"] | None:
        """A user claims an old id: what becomes of that, None if it is nothing new."""
        found = self._get(old)
        mark = xxhash.xxh3_64_digest(new.encode())
        if found.owner == new or mark in found.refused:
            return None
        if not found.owner:
            way = self._way(new)
            if old not in way and found.height + len(way) <= LONGEST_CHAIN:
                self._put(old, found._replace(owner=new))
                for after, one in enumerate(way, 1):
                    self._raise(one, found.height + after)
                return "linked"
        if len(found.refused) + 2 > self._limit:
            return None  # enough are reported
        self._put(old, found._replace(refused=(*found.refused, mark)))
        return "refused"

    def entry(self, identifier: str) -> bytes:
        """What is kept of an id; empty for nothing."""
        return self._store.get(identifier) or b""

    def _way(self, one: str) -> list[str]:
        """An id, and those that it leads to."""
        found = [one]
        while owner := self._get(found[-1]).owner:
            found.append(owner)
        return found

    def _raise(self, one: str, height: int) -> None:
        found = self._get(one)
        if found.height < height:
            self._put(one, found._replace(height=height))

    def _get(self, identifier: str) -> _Entry:
        entry = self._store.get(identifier)
        if not entry:
            return _Entry()
        end = 2 + 8 * entry[0]
        return _Entry(entry[end:].decode(), entry[1], tuple([entry[at : at + 8] for at in range(2, end, 8)]))

    def _put(self, identifier: str, found: _Entry) -> None:
        refused = found.refused
        self._store[identifier] = bytes([len(refused), found.height]) + b"".join(refused) + found.owner.encode()
        self.changed.add(identifier)
