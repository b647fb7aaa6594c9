"""Times as files write them, to epoch milliseconds.

Epoch numbers, ISO 8601, and what begins with the year (`2026/11/25 9:00`, `20261125`, `2026年11月25日`) can be read in
one way only. Where the day or the month may come first, nobody guesses: `--time-format` says it. Pure.
"""

from __future__ import annotations

import contextlib
import re
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from math import isfinite
from typing import Any, Final

from pipeline.errors import UserError
from schemas.translatable import TranslatableValueError

#: Numbers below are seconds (until the year 5138), then milliseconds, microseconds and nanoseconds.
_SMALLEST_MS: Final = 100_000_000_000
_SMALLEST_US: Final = 100_000_000_000_000
_SMALLEST_NS: Final = 100_000_000_000_000_000
_CLOCK: Final = r"(?P<hour>\d{1,2}):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.,](?P<fraction>\d{1,9}))?)?"
_YEAR_FIRST: Final = re.compile(
    r"(?P<year>\d{4})(?:[-/.](?P<month>\d{1,2})[-/.](?P<day>\d{1,2})|年(?P<month_zh>\d{1,2})月(?P<day_zh>\d{1,2})日)"
    rf"(?:(?:T|\s*)\s*{_CLOCK}\s*(?P<half>[AaPp][Mm])?)?\s*(?P<zone>Z|UTC|GMT|[+-]\d\d:?\d\d)?",
    re.ASCII,
)
#: Days since 1899 from 1980 to 2118, as a spreadsheet writes a date whose cell has no format.
_DAYS: Final = re.compile(r"[3-7][0-9]{4}(?:\.[0-9]+)?", re.ASCII)
_DIGITS: Final = re.compile(r"(?:19|20|21)\d{6}(?:\d{4}(?:\d\d)?)?", re.ASCII)
_EITHER_FIRST: Final = re.compile(r"\d{1,2}[-/. ]\d{1,2}[-/. ](?:\d{4}|\d\d)(?!\d).*", re.ASCII | re.DOTALL)


def parse_time(value: Any, zone: tzinfo, time_format: str | None = None) -> int:
    """Epoch ms of an epoch number (s, ms, µs or ns; also as text) or of a date with or without a time of day.

    `zone` holds for times without one (`2026-10-01 12:00:00`). With a `time_format` (as strptime takes it) text is
    read so and in no other way. Raises ValueError for anything else, saying what to do.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return _from_int(value, zone)
    if isinstance(value, float) and isfinite(value):
        return _from_number(value)
    if not isinstance(value, str):
        return _no_time(value)
    text = value.strip()
    if time_format is not None:
        return _ms(_by_format(text, time_format), zone)
    if _DAYS.fullmatch(text):
        raise TranslatableValueError(
            "{text} is a spreadsheet's number of a day: give the column a date's format, and save it again",
            text=repr(text),
        )
    if text.lstrip("-").isdecimal():
        return _from_int(int(text), zone) if len(text) < 20 else _no_time(value)
    with contextlib.suppress(ValueError, OverflowError):
        return _ms(datetime.fromisoformat(text), zone)
    with contextlib.suppress(ValueError, OverflowError):
        if moment := _year_first(text):
            return _ms(moment, zone)
    with contextlib.suppress(ValueError):
        number = float(text)
        # 02.01 or 1.5 is a number, and no time of anybody's: what is before 1973 in seconds is refused later.
        if isfinite(number):
            return _from_number(number)
    if _EITHER_FIRST.fullmatch(text):
        raise _either_first(text, "'%d.%m.%Y %H:%M'")
    return _no_time(value)


def parse_day(value: Any, time_format: str | None = None) -> date | None:
    """The day that text like `2026/11/25` or `20261125` names, None if it is no such text. Raises ValueError."""
    if not isinstance(value, str):
        return None
    text = value.strip()
    if time_format is not None:
        return _by_format(text, time_format).date()
    found = _year_first(text) or (_from_digits(text) if text.isdecimal() else None)
    if found is None and _EITHER_FIRST.fullmatch(text):
        raise _either_first(text, "%d.%m.%Y")
    return None if found is None else found.date()


def time_format_of(text: str) -> str:
    """The format, if strptime knows it and it names a day. Raises UserError."""
    moment = datetime(2026, 11, 25, 21, 7, 5, tzinfo=UTC)
    try:
        again = datetime.strptime(moment.strftime(text), text)
    except (ValueError, re.error) as exc:
        raise UserError(
            "--time-format {text} is not understood ({why}): write it like %d.%m.%Y %H:%M:%S", text=repr(text), why=exc
        ) from None
    if again.date() != moment.date():
        raise UserError("--time-format {text} names no day of a year: write it like %d.%m.%Y %H:%M:%S", text=repr(text))
    return text


def _either_first(text: str, like: str) -> TranslatableValueError:
    return TranslatableValueError(
        "{text} may begin with the day or with the month: say it, like --time-format {like}",
        text=repr(text[:40]),
        like=like,
    )


def _no_time(value: Any) -> int:
    raise TranslatableValueError(
        "{value} is not a time: epoch seconds or milliseconds, or like 2026-10-01 12:00:00, or say --time-format",
        value=repr(value)[:60],
    )


def _by_format(text: str, time_format: str) -> datetime:
    try:
        return datetime.strptime(text, time_format)
    except ValueError:
        raise TranslatableValueError(
            "{text} is no time as --time-format {format} says", text=repr(text[:60]), format=repr(time_format)
        ) from None


def _from_int(number: int, zone: tzinfo) -> int:
    if moment := _from_digits(str(number)):
        return _ms(moment, zone)
    size = abs(number)
    if size < _SMALLEST_MS:
        return number * 1000
    if size < _SMALLEST_US:
        return number
    return number // 1000 if size < _SMALLEST_NS else number // 1_000_000


def _from_digits(text: str) -> datetime | None:
    """20261125, 202611250900, 20261125090000: as epoch numbers these would lie before 2000 or after 2600."""
    if not _DIGITS.fullmatch(text):
        return None
    try:
        return datetime.strptime(text, {8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}[len(text)])
    except ValueError:
        return None


def _from_number(number: float) -> int:
    if abs(number) < _SMALLEST_MS:
        return round(number * 1000)
    return int(number) if abs(number) < _SMALLEST_US else _from_int(int(number), UTC)


def _year_first(text: str) -> datetime | None:
    found = _YEAR_FIRST.fullmatch(text)
    if found is None:
        return None
    part = found.groupdict()
    hour = int(part["hour"] or 0)
    if part["half"]:
        if not 1 <= hour <= 12:
            raise ValueError("hour")
        hour = hour % 12 + (12 if part["half"].lower() == "pm" else 0)
    zone: tzinfo | None = None
    if part["zone"]:
        digits = part["zone"].replace(":", "")
        if digits[0] in "+-":
            offset = timedelta(hours=int(digits[1:3]), minutes=int(digits[3:5]))
            zone = timezone(offset if digits[0] == "+" else -offset)
        else:
            zone = UTC
    return datetime(
        int(part["year"]), int(part["month"] or part["month_zh"]), int(part["day"] or part["day_zh"]), hour,
        int(part["minute"] or 0), int(part["second"] or 0), int((part["fraction"] or "0").ljust(6, "0")[:6]), zone,
    )  # fmt: skip


def _ms(moment: datetime, zone: tzinfo) -> int:
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zone)
    return int(moment.replace(microsecond=0).timestamp()) * 1000 + moment.microsecond // 1000
