"""The header `traceparent` (https://www.w3.org/TR/trace-context/), and how many spans may be made. Pure.

Whoever sends events, or writes to the topic, may send any: it is read strictly, decides nothing at the front door, and
can't make a role send more spans than it sends anyway.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

#: Of an HTTP request, and of the record that is traced.
TRACEPARENT: Final = "traceparent"
_FORM: Final = re.compile(rb"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_SAMPLED: Final = 1


class Parent(NamedTuple):
    """A span of somebody: ids as numbers, never 0, and whether it is recorded."""

    trace: int
    span: int
    sampled: bool

    def header(self) -> bytes:
        """As a header says it."""
        return f"00-{self.trace:032x}-{self.span:016x}-{int(self.sampled):02x}".encode()


def parent_of(header: bytes | None) -> Parent | None:
    """The span that a header names; None if it says anything else."""
    found = _FORM.fullmatch(header) if header is not None and len(header) == 55 else None
    if found is None:
        return None
    trace, span = int(found[1], 16), int(found[2], 16)
    return Parent(trace, span, bool(int(found[3], 16) & _SAMPLED)) if trace and span else None


def traced(headers: Sequence[tuple[str, bytes | None]]) -> Parent | None:
    """The span that a record is to be traced under: its last header of the name, as with all of ours, if it is
    recorded.
    """
    for name, value in reversed(headers):
        if name == TRACEPARENT:
            found = parent_of(value)
            return found if found is not None and found.sampled else None
    return None


class Allowance:
    """At most `rate` spans a second, `burst` at once: a topic full of forged headers costs no more."""

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate, self._burst, self._left, self._at = rate, burst, burst, now

    def take(self, now: float) -> bool:
        """Whether one more may be made at `now`, in seconds."""
        self._left = min(self._burst, self._left + max(0.0, now - self._at) * self._rate)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


def parents_in(records: Sequence[Any]) -> list[tuple[int, Parent]]:
    """Which records of a batch are traced, by their place in it."""
    found = []
    for at, record in enumerate(records):
        if record.headers and (parent := traced(record.headers)) is not None:
            found.append((at, parent))
    return found
