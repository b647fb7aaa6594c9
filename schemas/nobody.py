"""Ids that mean nobody: what a program sends where it has no id. Together they would be the busiest user of all."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

#: In small letters. What languages print for nothing, what SDKs put in place of an id, and ids that whole families of
#: devices share (the address that Android and iOS tell everybody, the ANDROID_ID of a well-known fault).
NOBODY: Final = frozenset({
    "null", "(null)", "<null>", "nil", "<nil>", "none", "undefined", "(undefined)", "nan", "[object object]",
    "[object undefined]", "[object null]", "true", "false", "n/a", "-1",
    "unknown", "anonymous", "guest", "not_authenticated", "not_set", "(not set)", "not set", "no_id",
    "id", "user_id", "userid", "anonymous_id", "distinct_id", "distinctid", "device_id", "deviceid", "email",
    "02:00:00:00:00:00", "9774d56d682e549c",
})  # fmt: skip
#: An id of these alone is nobody's: `0`, `00000000-0000-0000-0000-000000000000`, `00:00:00:00:00:00`, `-`.
_ZEROS: Final = "0-:."


def is_nobody(identifier: str) -> bool:
    """Whether an id means nobody: blanks around it and capitals make no difference."""
    text = identifier.strip().lower()
    return text in NOBODY or not text or (text[0] in _ZEROS and not text.strip(_ZEROS))


def any_nobody(identifiers: Collection[str]) -> bool:
    """Whether any of many ids (without control characters) may mean nobody: False is sure, and quick to find."""
    if not identifiers:
        return False
    joined = "\n".join(identifiers)
    if " " in joined or not joined.isascii():
        return any(map(is_nobody, identifiers))
    lowered = joined.lower().split("\n")
    if not NOBODY.isdisjoint(lowered) or "" in lowered:
        return True
    return any(not one.strip(_ZEROS) for one in lowered if one[0] in _ZEROS)
