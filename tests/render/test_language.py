"""Numbers, durations and dates as people of each language write them."""

from __future__ import annotations

from datetime import date
from zoneinfo import ZoneInfo

import pytest

from pipeline.render.language import Language, choose

EN, ZH = Language("en"), Language("zh")


def test_the_right_one_of_two_texts() -> None:
    assert (EN("Answer"), ZH("Answer")) == ("Answer", "结果")
    assert (EN.of("column", "dau"), ZH.of("column", "dau")) == ("dau", "日活")


def test_numbers() -> None:
    assert EN.number(1234567) == "1,234,567"
    assert EN.number(None) == "–"
    assert EN.number(float("nan")) == "–"
    assert EN.money(1234.5) == "1,234.50"
    assert EN.money(1234567.8) == "1,234,568"


@pytest.mark.parametrize(
    ("value", "en", "zh"),
    [(999, "999", "999"), (9_999, "9,999", "9,999"), (12_345, "12.3K", "1.23万"), (1_234_567, "1.23M", "123万"),
     (250_000_000, "250M", "2.50亿"), (0.5, "0.50", "0.50")],
)  # fmt: skip
def test_large_numbers_in_units_of_the_language(value: float, en: str, zh: str) -> None:
    assert (EN.compact(value), ZH.compact(value)) == (en, zh)


def test_shares_and_changes() -> None:
    assert (EN.percent(0.4123), ZH.percent(0.4123)) == ("41.2 %", "41.2%")
    assert (EN.change(0.04), EN.change(-0.125), EN.change(None)) == ("+4.0 %", "−12.5 %", "–")
    assert EN.change(48.2) == "×49"
    assert (EN.points(-0.17), ZH.points(0.021)) == ("−17.0 points", "+2.1 个百分点")


@pytest.mark.parametrize(
    ("ms", "en"), [(250, "250 ms"), (4000, "4 s"), (4500, "4.5 s"), (125_000, "2 min 5 s"), (4_800_000, "1 h 20 min"),
                   (270_000_000, "3 d 3 h"), (3_600_000, "1 h"), (3_601_000, "1 h")],
)  # fmt: skip
def test_durations_have_two_units_at_most(ms: float, en: str) -> None:
    assert EN.duration(ms) == en


def test_how_far_behind_in_plain_words() -> None:
    assert (EN.ago(4_200), EN.ago(1_000), ZH.ago(4_200)) == ("4 seconds", "1 second", "4 秒")
    assert EN.ago(600_000) == "10 min"


def test_days() -> None:
    day = date(2026, 11, 3)
    assert (EN.day(day), ZH.day(day)) == ("Nov 3", "11月3日")
    assert (EN.day(day, weekday=True), ZH.day(day, weekday=True)) == ("Tuesday, Nov 3", "11月3日 星期二")
    assert EN.clock(1_795_000_000_000, ZoneInfo("Asia/Shanghai")) == "19:06"  # 2026-11-18T11:06:40Z


def test_lists() -> None:
    assert (EN.listed(["a"]), EN.listed(["a", "b", "c"]), ZH.listed(["甲", "乙"])) == ("a", "a, b and c", "甲和乙")


def test_the_language_is_what_was_chosen_or_what_the_browser_prefers() -> None:
    assert choose("zh", "en-US") == "zh"
    assert choose(None, "zh-CN,zh;q=0.9,en;q=0.8") == "zh"
    assert choose(None, "fr,en;q=0.5,zh;q=0.7") == "zh"
    assert choose("xx", "de-DE") == "en"
    assert choose(None, "zh;q=0") == "en"
    assert choose(None, None) == "en"
