"""Ids of events that came without one: the same request sent again gives the same ids. Pure.

The id is a hash of the protocol, the source and the whole event as it was sent, before its time is corrected. Two equal
events of one request are two: the second one is told apart by its number. Two equal events of two requests are one if
they have a time of their own, for they are what a retry looks like. Without a time, nothing could tell a retry from
another event: then each is one, and the moment it was received is part of its id.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import Any

from pydantic_core import to_json


class Ids:
    """Makes the ids of one request."""

    def __init__(self, protocol: str, source: str, received: int) -> None:
        self._prefix = f"{protocol}\0{source}\0".encode()
        self._received = str(received).encode()
        self._seen: Counter[bytes] = Counter()

    def of(self, fields: dict[str, Any], *besides: Any) -> str:
        """The id of an event without one; `besides` is what is said with it and stands not in its fields."""
        content = to_json([fields, *besides])
        if fields.get("ts") is None:
            content += self._received
        number = self._seen[content]
        self._seen[content] += 1
        return hashlib.blake2b(self._prefix + content + b"\0%d" % number, digest_size=16).hexdigest()
