"""Durations as people write them: `90s`, `15m`, `1h`, `7d`, or several in a row (`1h30m`)."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, PlainSerializer

from schemas.translatable import TranslatableValueError

#: Times in milliseconds, as everything here counts them.
SECOND: Final = 1_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR

_UNITS = {"ms": 1, "s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY, "w": 7 * DAY}
_PART = re.compile(r"(\d+)(ms|[smhdw])")


def parse_duration(text: Any) -> int:
    """Return milliseconds. Integers pass through as milliseconds; raises ValueError for anything else."""
    if isinstance(text, int) and not isinstance(text, bool):
        return text
    if isinstance(text, str):
        parts = _PART.findall(text.replace(" ", ""))
        if parts and "".join(n + u for n, u in parts) == text.replace(" ", ""):
            return sum(int(n) * _UNITS[u] for n, u in parts)
    raise TranslatableValueError("{text} is not a duration: write it like 30s, 15m, 1h30m or 7d", text=repr(text))


def format_duration(ms: int) -> str:
    """The shortest text that parses back to `ms`."""
    out = ""
    for unit, size in sorted(_UNITS.items(), key=lambda item: -item[1]):
        if ms >= size:
            out += f"{ms // size}{unit}"
            ms %= size
    return out or "0s"


#: Milliseconds, written as a duration in YAML.
Duration = Annotated[int, BeforeValidator(parse_duration), PlainSerializer(format_duration, when_used="json")]
