"""English and Chinese: words, numbers, durations and dates as people of each language write them."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, tzinfo
from decimal import Decimal
from typing import Final, Literal

Code = Literal["en", "zh"]
CODES: Final[tuple[Code, ...]] = ("en", "zh")
#: What stands where there is no number.
NONE: Final = "–"
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_WEEKDAYS: Final = (
    ("Monday", "星期一"), ("Tuesday", "星期二"), ("Wednesday", "星期三"), ("Thursday", "星期四"),
    ("Friday", "星期五"), ("Saturday", "星期六"), ("Sunday", "星期日"),
)  # fmt: skip
_SCALES: Final[dict[Code, tuple[tuple[float, str], ...]]] = {
    "en": ((1e9, "B"), (1e6, "M"), (1e3, "K")),
    "zh": ((1e8, "亿"), (1e4, "万")),
}
Number = int | float | Decimal


class Language:
    """One of the two languages: call it with both texts, get the right one."""

    def __init__(self, code: Code) -> None:
        self.code: Code = code

    def __call__(self, en: str, zh: str) -> str:
        return en if self.code == "en" else zh

    def number(self, value: Number | None, digits: int = 0) -> str:
        """`1,234,567`, `0.50`; `–` for None and what is not finite."""
        return NONE if value is None or not math.isfinite(value) else f"{value:,.{digits}f}"

    def compact(self, value: Number | None) -> str:
        """Three digits at least and a unit of thousands, or of ten thousands in Chinese: `1.23M`, `123万`."""
        if value is None or not math.isfinite(value):
            return NONE
        value = float(value)
        for scale, unit in _SCALES[self.code]:
            if abs(value) >= (10_000.0 if unit == "K" else scale):
                short = value / scale
                return f"{short:,.{max(0, 2 - len(str(int(abs(short)))) + 1)}f}{unit}"
        if value == int(value):
            return f"{value:,.0f}"
        return f"{value:,.{2 if abs(value) < 100 else 0}f}"

    def percent(self, share: float | None, digits: int = 1) -> str:
        """`41.2 %` of a share of 0.412; `41.2%` in Chinese."""
        if share is None or not math.isfinite(share):
            return NONE
        return f"{100 * share:,.{digits}f}{self(' %', '%')}"

    def change(self, share: float | None) -> str:
        """A change against something, always with its sign: `+4.0 %`, `−12.5 %`; as a multiple beyond that: `×49`."""
        if share is None or not math.isfinite(share):
            return NONE
        if share >= 10:
            return f"×{share + 1:,.0f}"
        return f"{'+' if share >= 0 else '−'}{self.percent(abs(share))}"

    def points(self, difference: float) -> str:
        """A difference of two shares: `−17.0 points`."""
        return f"{'+' if difference >= 0 else '−'}{abs(100 * difference):.1f} {self('points', '个百分点')}"

    def money(self, value: Number | None) -> str:
        """An amount in the product's own currency, which the plan does not name."""
        return self.number(value, 2 if value is not None and abs(float(value)) < 10_000 else 0)

    def duration(self, ms: float | None) -> str:
        """The two largest units: `3 s`, `2 min 5 s`, `1 h 20 min`, `3 d 4 h`."""
        if ms is None or not math.isfinite(ms):
            return NONE
        if ms < 1000:
            return f"{ms:.0f} {self('ms', '毫秒')}"
        if ms < 10_000 and ms % 1000:
            return f"{ms / 1000:.1f} {self('s', '秒')}"
        left, found = round(ms / 1000), []
        for seconds, en, zh in ((86_400, "d", "天"), (3600, "h", "小时"), (60, "min", "分钟"), (1, "s", "秒")):
            if left >= seconds:
                found.append(f"{left // seconds} {self(en, zh)}")
                left %= seconds
            elif found:
                break
        return " ".join(found[:2])

    def ago(self, ms: float) -> str:
        """How far behind, in plain words."""
        seconds = max(0, round(ms / 1000))
        if seconds < 120:
            return self(f"{seconds} second{'' if seconds == 1 else 's'}", f"{seconds} 秒")
        return self.duration(seconds * 1000)

    def day(self, day: date, *, weekday: bool = False, year: bool = False) -> str:
        """`Nov 3`, `11月3日`; with the weekday `Monday, Nov 3`."""
        name = _WEEKDAYS[day.weekday()][0 if self.code == "en" else 1]
        if self.code == "en":
            plain = f"{_MONTHS[day.month - 1]} {day.day}" + (f", {day.year}" if year else "")
            return f"{name}, {plain}" if weekday else plain
        plain = (f"{day.year}年" if year else "") + f"{day.month}月{day.day}日"
        return f"{plain} {name}" if weekday else plain

    def clock(self, ms: int, zone: tzinfo = UTC, *, seconds: bool = False) -> str:
        """`14:05`, in the zone."""
        return datetime.fromtimestamp(ms / 1000, zone).strftime("%H:%M:%S" if seconds else "%H:%M")

    def listed(self, items: list[str]) -> str:
        """`a, b and c`; `a、b和c`."""
        if len(items) < 2:
            return "".join(items)
        return self(", ", "、").join(items[:-1]) + self(" and ", "和") + items[-1]


def choose(asked: str | None, accept: str | None) -> Code:
    """The language that was asked for, else the first of the browser's list that we speak, else English."""
    if asked in CODES:
        return asked
    ranked = []
    for position, item in enumerate((accept or "").split(",")):
        tag, _, rest = item.strip().partition(";")
        quality = rest.strip().removeprefix("q=") if rest else "1"
        try:
            ranked.append((-float(quality), position, tag.split("-")[0].lower()))
        except ValueError:
            continue
    for weight, _, code in sorted(ranked):
        if code in CODES and weight < 0:
            return code
    return "en"
