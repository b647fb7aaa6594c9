"""Numbers and times as people write them: read where they are one thing, refused where they may be two."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.files.numbers import number_text
from pipeline.files.times import parse_day, parse_time

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1299", "1299"), ("-5", "-5"), ("19.90", "19.90"), ("0.125", "0.125"), ("1.299", "1.299"), (" 7 ", "7"),
        ("1,299.00", "1299.00"), ("1.299,00", "1299.00"), ("1,299,000", "1299000"), ("1.299.000", "1299000"),
        ("1,299,000.5", "1299000.5"), ("19,90", "19.90"), ("0,299", "0.299"), ("1299,999", "1299.999"),
        ("1 299,00", "1299.00"), ("1\u00a0299,00", "1299.00"), ("1\u202f299", "1299"), ("1'299.50", "1299.50"),
        ("-1,299.00", "-1299.00"), ("+3", "+3"),
        ("1,29,9", None), ("12,34.5", None), ("1,299.00.1", None), ("$5", None), ("", None), ("1e5", None),
        ("1.2.3", None), ("--5", None), ("1,,299", None), ("\u0661", None),
    ],
)  # fmt: skip
def test_a_number_that_can_be_read_in_one_way_only(text: str, expected: str | None) -> None:
    assert number_text(text, None) == expected


def test_what_may_be_two_numbers_is_refused_until_the_mark_is_said() -> None:
    with pytest.raises(ValueError, match=r"^'1,299' is 1299 or 1\.299: say --decimal \. or --decimal ,$"):
        number_text("1,299", None)
    assert number_text("1,299", ".") == "1299"
    assert number_text("1,299", ",") == "1.299"
    # A file with semicolons is one of a country with decimal commas, or of a program.
    with pytest.raises(ValueError, match=r"'1\.299' is 1299 or 1\.299"):
        number_text("1.299", None, commas=True)
    assert number_text("1.299", ",", commas=True) == "1299"
    assert number_text("1.299", ".", commas=True) == "1.299"
    assert number_text("0.299", None, commas=True) == "0.299"
    # A whole number is wanted: it can only be the one.
    assert number_text("1,299", None, integer=True) == "1299"


@pytest.mark.parametrize(("text", "decimal"), [("19,90", "."), ("19.90", ","), ("1.299,00", "."), ("1,299.00", ",")])
def test_what_contradicts_the_mark_that_was_said_is_refused(text: str, decimal: str) -> None:
    with pytest.raises(ValueError, match="--decimal"):
        number_text(text, decimal)


@given(st.decimals(-(10**9), 10**9, places=2), st.sampled_from([(",", "."), (".", ","), (" ", ","), ("'", ".")]))
def test_a_number_written_with_groups_is_the_same_number(number: object, style: tuple[str, str]) -> None:
    group, mark = style
    text = f"{number:,.2f}".replace(",", "G").replace(".", mark).replace("G", group)
    plain = number_text(text, None)
    assert plain is not None
    assert float(plain) == float(f"{number:.2f}")


AT_NINE = int(datetime(2026, 11, 25, 9, tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    "text",
    [
        "2026/11/25 9:00", "2026-11-25 09:00", "2026.11.25 09:00:00", "2026-11-25T09:00:00Z", "2026/11/25 9:00 AM",
        "2026-11-25 10:00 +01:00", "2026-11-25 10:00:00+0100", "20261125090000", "202611250900", "2026年11月25日 9:00",
        "2026-11-25 09:00:00.000", "2026-11-25 09:00:00,000", "1795597200", "1795597200000", "1795597200000000",
        "1795597200000000000", "1795597200.0",
    ],
)  # fmt: skip
def test_times_that_can_be_read_in_one_way_only(text: str) -> None:
    assert parse_time(text, UTC) == AT_NINE


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("20250102", (2025, 1, 2)),
        ("2025/1/2", (2025, 1, 2)),
        ("2026年11月25日", (2026, 11, 25)),
        ("2025-01-02", (2025, 1, 2)),
    ],
)
def test_a_day_begins_in_the_zone(text: str, day: tuple[int, int, int]) -> None:
    assert parse_time(text, BERLIN) == int(datetime(*day, tzinfo=BERLIN).timestamp() * 1000)
    assert parse_day(text) == date(*day)


def test_a_number_of_json_may_be_a_day_too() -> None:
    assert parse_time(20250102, UTC) == int(datetime(2025, 1, 2, tzinfo=UTC).timestamp() * 1000)
    assert parse_time(1_795_597_200, UTC) == AT_NINE


@pytest.mark.parametrize("text", ["02.01.2025", "25/11/2026 9:00", "11/25/2026", "1-2-25", "02/01/2025T10:00:00Z"])
def test_where_the_day_or_the_month_may_come_first_nobody_guesses(text: str) -> None:
    with pytest.raises(ValueError, match="may begin with the day or with the month: say it, like --time-format"):
        parse_time(text, UTC)
    with pytest.raises(ValueError, match="may begin with the day or with the month"):
        parse_day(text)


@pytest.mark.parametrize(
    "text", ["2026/13/01", "2026-02-30 10:00", "20261340", "2026-11-25 25:00", "9:00", "2026-11-25 13:00 PM"]
)
def test_times_that_there_are_not(text: str) -> None:
    if text.isdecimal():
        # Seconds in 1970, which the plan's validator refuses as too old.
        assert parse_time(text, UTC) == int(text) * 1000
        return
    with pytest.raises(ValueError, match="is not a time"):
        parse_time(text, UTC)


@pytest.mark.parametrize("text", ["46346", " 46346.4166666667 ", "30000", "79999.5"])
def test_a_spreadsheets_number_of_a_day_is_named(text: str) -> None:
    with pytest.raises(ValueError, match="is a spreadsheet's number of a day: give the column a date's format"):
        parse_time(text, UTC)


def test_a_format_is_the_only_way_where_it_is_given() -> None:
    assert parse_time("02.01.2025", BERLIN, "%d.%m.%Y") == int(datetime(2025, 1, 2, tzinfo=BERLIN).timestamp() * 1000)
    assert parse_time("25/Nov/2026:10:00:00 +0100", UTC, "%d/%b/%Y:%H:%M:%S %z") == AT_NINE
    with pytest.raises(ValueError, match=r"'2025-01-02' is no time as --time-format '%d\.%m\.%Y' says"):
        parse_time("2025-01-02", UTC, "%d.%m.%Y")
