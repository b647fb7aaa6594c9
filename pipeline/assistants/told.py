"""Values of a result as JSON has them, and a table as a tool tells it. Pure."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

#: Characters of a text in a result: what strangers sent may be as long as they like.
MAX_TEXT: Final = 500
_HALVES: Final = re.compile("[\ud800-\udfff]")


def told(value: Any, zone: ZoneInfo) -> Any:
    """A value of a result: days as text, times in the plan's zone, exact amounts as numbers, long texts cut."""
    match value:
        case None | bool() | int():
            return value
        case float() | Decimal():
            number = float(value)
            return number if math.isfinite(number) else None
        case datetime():
            return (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(zone).isoformat(timespec="seconds")
        case date():
            return value.isoformat()
        case Mapping():
            return {str(name): told(one, zone) for name, one in value.items()}
        case str():
            return value if len(value) <= MAX_TEXT else value[:MAX_TEXT] + "…"
        case list() | tuple():
            return [told(one, zone) for one in value]
    return told(str(value), zone)


def rows_told(names: Sequence[str], rows: Sequence[Sequence[Any]], most: int, zone: ZoneInfo) -> dict[str, Any]:
    """The first rows by column, and how many there are of them all."""
    shown = [dict(zip(names, (told(value, zone) for value in row), strict=True)) for row in rows[:most]]
    found: dict[str, Any] = {"rows": shown, "rows_in_all": len(rows)}
    if len(rows) > most:
        found["cut"] = f"the first {most} rows of {len(rows)}: ask for more by `rows`, or for fewer days or values"
    return found


def as_text(document: Any) -> str:
    """The document as JSON in letters that any stream can hold."""
    return _HALVES.sub("\ufffd", json.dumps(document, ensure_ascii=False, allow_nan=False))
