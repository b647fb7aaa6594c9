"""Times as files write them, to epoch milliseconds."""

from __future__ import annotations

import contextlib
from datetime import datetime, tzinfo
from math import isfinite
from typing import Any, Final

#: Numbers below are seconds (until the year 5138), numbers from here on milliseconds (since 1973).
_SMALLEST_MS: Final = 100_000_000_000


def parse_time(value: Any, zone: tzinfo) -> int:
    """Epoch ms of epoch seconds or milliseconds (numbers, or text of digits) or an ISO 8601 time.

    `zone` holds for times without one (`2026-10-01 12:00:00`). Raises ValueError for anything else.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return _from_int(value)
    if isinstance(value, float) and isfinite(value):
        return _from_number(value)
    if isinstance(value, str):
        text = value.strip()
        if text.lstrip("-").isdecimal():
            return _from_int(int(text)) if len(text) < 20 else _no_time(value)
        with contextlib.suppress(ValueError, OverflowError):
            return _from_text(text, zone)
        with contextlib.suppress(ValueError):
            number = float(text)
            if isfinite(number):
                return _from_number(number)
    return _no_time(value)


def _no_time(value: Any) -> int:
    shown = repr(value)[:60]
    raise ValueError(f"{shown} is not a time: epoch seconds or milliseconds, or like 2026-10-01 12:00:00")


def _from_int(number: int) -> int:
    return number * 1000 if abs(number) < _SMALLEST_MS else number


def _from_number(number: float) -> int:
    return round(number * 1000) if abs(number) < _SMALLEST_MS else int(number)


def _from_text(text: str, zone: tzinfo) -> int:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zone)
    return int(moment.replace(microsecond=0).timestamp()) * 1000 + moment.microsecond // 1000
