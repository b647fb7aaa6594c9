"""Lines of JSON that are sent as they are, known at a glance.

Most lines of most files are events as they should be: with a time in epoch milliseconds, an id and an actor. Nothing is
changed in these on their way, and the plan judges them later.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from pipeline.ingest.validate import MAX_RECORD_BYTES

#: A whole number between these is epoch milliseconds, and no date in digits (20261125090000 has 14).
_FIRST_MS, _LAST_MS = 946_684_800_000, 9_999_999_999_999
# It refuses what is no JSON (NaN, half a character) although Python's reads it: such lines are read with care.
_READ: Final = msgspec.json.Decoder().decode


def actor_of_line(line: bytes) -> bytes | None:
    """The actor of a line (without white space around it) that is sent as it is; None where it has to be read."""
    try:
        found: Any = _READ(line)
        ts, actor = found["ts"], found.get("user_id") or found.get("anonymous_id")
        whole = type(ts) is int and _FIRST_MS <= ts <= _LAST_MS and "event_id" in found and type(actor) is str
        return actor.encode() if whole and actor and len(line) <= MAX_RECORD_BYTES else None
    except (msgspec.MsgspecError, UnicodeError, RecursionError, LookupError, TypeError, AttributeError):
        return None
