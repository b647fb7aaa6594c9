"""What people read, in their language: words, numbers, durations and dates as people of each language write them.

A text is written in English where it is said, and looked up in the table of the language, `languages/<code>.yaml`:
another language is another file. `python -m pipeline.render.language` prints every text beside the English one.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo
from decimal import Decimal
from functools import cache
from pathlib import Path
from string import Formatter
from typing import Final

import yaml

from schemas.translatable import Foreign, Sentence, Speech, Term, TranslatableError

ENGLISH: Final = "en"
_TABLES: Final = Path(__file__).with_name("languages")
#: The languages there are, English first.
CODES: Final = (ENGLISH, *sorted(file.stem for file in _TABLES.glob("*.yaml")))
#: Before the texts of sentences that are known by their form.
READ: Final = "read|"
#: A longer text is not read: matching takes too long, and the detail of a rejected record has 500 characters at most.
_MAX_READ: Final = 600
#: What stands where there is no number.
NONE: Final = "–"
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
WEEKDAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
UNITS: Final = ((86_400, "{n} d"), (3600, "{n} h"), (60, "{n} min"), (1, "{n} s"))
Number = int | float | Decimal
#: In C where it was built: the table is read when a command starts.
_Loader: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class Words:
    """The table of a language."""

    #: What the language calls itself, and its tag in HTML.
    name: str
    tag: str
    #: Units of large numbers, the largest first.
    scales: tuple[tuple[float, str], ...]
    #: English text to the text of the language; `meaning|text` where the text alone would be ambiguous.
    texts: Mapping[str, str]


@cache
def words(code: str) -> Words:
    """The table of a language. Raises KeyError for a language that there is not."""
    if code == ENGLISH:
        return Words("English", "en", ((1e9, "B"), (1e6, "M"), (1e3, "K")), {})
    if code not in CODES:
        raise KeyError(code)
    found = yaml.load((_TABLES / f"{code}.yaml").read_text("utf-8"), _Loader)  # noqa: S506 - a safe one
    return Words(found["name"], found["tag"], tuple((float(n), unit) for n, unit in found["scales"]), found["texts"])


@cache
def _forms(code: str) -> tuple[tuple[re.Pattern[str], str], ...]:
    """The forms of sentences that are read, and what the language says instead, in the order of its table."""
    return tuple(
        (re.compile(_form(key.removeprefix(READ)), re.DOTALL), text)
        for key, text in words(code).texts.items()
        if key.startswith(READ)
    )


def _form(text: str) -> str:
    """The regular expression of a text with places. It may begin with a small letter."""
    found = ""
    for literal, name, _, _ in Formatter().parse(text):
        start = f"[{literal[0]}{literal[0].lower()}]" if literal[:1].isalpha() and not found else ""
        found += start + re.escape(literal[1:] if start else literal)
        if name:
            found += f"(?P<{name}>{'[^;]' if name == 'path' else '.'}*?)"
    return found


class Language(Speech):
    """One language: call it with the English text, get the language's own."""

    def __init__(self, code: str) -> None:
        self.code: Final = code
        self._words = words(code)

    def __call__(self, text: str, /, **values: object) -> str:
        """The text, with `values` in the places that their names hold. What the table doesn't have stays English."""
        said = self._words.texts.get(text, text)
        return said.format(**values) if values else said

    def of(self, meaning: str, text: str, /, **values: object) -> str:
        """A text that means several things in English: here, this one."""
        said = self._words.texts.get(f"{meaning}|{text}", text)
        return said.format(**values) if values else said

    def said(self, what: object) -> str:
        """A sentence, an error or a term in this language; what is none of them, and has no text, as it is."""
        if isinstance(what, Foreign):
            return self.read(what)
        if isinstance(what, TranslatableError):
            what = what.said
        if isinstance(what, Term):
            return self.of(what.meaning, what.text)
        if not isinstance(what, Sentence):
            return str(what)
        return self.of("said", what.text, **{name: self._value(value) for name, value in what.values.items()})

    def _value(self, value: object) -> object:
        return self.said(value) if isinstance(value, Exception | Foreign | Sentence | Term) else value

    def read(self, text: str) -> str:
        """An English sentence of which only the whole is left, in this language if it has one of the known forms.

        What pydantic says is one, and why a record was rejected as it is stored. That may be several with `; ` between
        them, or in a value: what has no form stays as it is, and so does what is too long to be looked at.
        """
        if len(text) > _MAX_READ:
            return text
        parts = text.split("; ")
        own = [self._read(part) for part in parts]
        if None in own and (whole := self._read(text)) is not None:
            return whole
        said = own[0] or parts[0]
        for part, found in zip(parts[1:], own[1:], strict=True):
            said += f"; {part}" if found is None else self.of("of clauses", "; ") + found
        return said

    def _read(self, text: str, deep: int = 3) -> str | None:
        """One sentence; None of no form. What `why` stands for has to have one, too, so many times over."""
        for form, own in _forms(self.code):
            if (found := form.fullmatch(text)) is None:
                continue
            values: dict[str, str | None] = found.groupdict()
            if "why" in values:
                values["why"] = self._read(found["why"], deep - 1) if deep else None
                if values["why"] is None:
                    continue
            return own.format(**values) if values else own
        return None

    @property
    def name(self) -> str:
        """What the language calls itself."""
        return self._words.name

    @property
    def tag(self) -> str:
        """The language in HTML."""
        return self._words.tag

    def number(self, value: Number | None, digits: int = 0) -> str:
        """`1,234,567`, `0.50`; `–` for None and what is not finite."""
        return NONE if value is None or not math.isfinite(value) else f"{value:,.{digits}f}"

    def compact(self, value: Number | None) -> str:
        """Three digits at least and a unit of thousands, or of ten thousands in Chinese: `1.23M`, `123万`."""
        if value is None or not math.isfinite(value):
            return NONE
        value = float(value)
        for scale, unit in self._words.scales:
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
        return self("{number} %", number=f"{100 * share:,.{digits}f}")

    def change(self, share: float | None) -> str:
        """A change against something, always with its sign: `+4.0 %`, `−12.5 %`; as a multiple beyond that: `×49`."""
        if share is None or not math.isfinite(share):
            return NONE
        if share >= 10:
            return f"×{share + 1:,.0f}"
        return f"{'+' if share >= 0 else '−'}{self.percent(abs(share))}"

    def points(self, difference: float) -> str:
        """A difference of two shares: `−17.0 points`."""
        sign = "+" if difference >= 0 else "−"
        return self("{number} points", number=f"{sign}{abs(100 * difference):.1f}")

    def money(self, value: Number | None) -> str:
        """An amount in the product's own currency, which the plan does not name."""
        return self.number(value, 2 if value is not None and abs(float(value)) < 10_000 else 0)

    def duration(self, ms: float | None) -> str:
        """The two largest units: `3 s`, `2 min 5 s`, `1 h 20 min`, `3 d 4 h`."""
        if ms is None or not math.isfinite(ms):
            return NONE
        if ms < 1000:
            return self("{n} ms", n=f"{ms:.0f}")
        if ms < 10_000 and ms % 1000:
            return self("{n} s", n=f"{ms / 1000:.1f}")
        left, found = round(ms / 1000), []
        for seconds, text in UNITS:
            if left >= seconds:
                found.append(self(text, n=left // seconds))
                left %= seconds
            elif found:
                break
        return " ".join(found[:2])

    def ago(self, ms: float) -> str:
        """How far behind, in plain words."""
        seconds = max(0, round(ms / 1000))
        if seconds < 120:
            return self("{n} second{s}", n=seconds, s="" if seconds == 1 else "s")
        return self.duration(seconds * 1000)

    def day(self, day: date, *, weekday: bool = False, year: bool = False) -> str:
        """`Nov 3`, `11月3日`; with the weekday `Monday, Nov 3`."""
        said = self("{name} {day}", name=_MONTHS[day.month - 1], month=day.month, day=day.day)
        if year:
            said = self("{date}, {year}", date=said, year=day.year)
        return self("{weekday}, {date}", weekday=self(WEEKDAYS[day.weekday()]), date=said) if weekday else said

    def clock(self, ms: int, zone: tzinfo = UTC, *, seconds: bool = False) -> str:
        """`14:05`, in the zone."""
        return datetime.fromtimestamp(ms / 1000, zone).strftime("%H:%M:%S" if seconds else "%H:%M")

    def listed(self, items: list[str]) -> str:
        """`a, b and c`; `a、b和c`."""
        if len(items) < 2:
            return "".join(items)
        return self(", ").join(items[:-1]) + self(" and ") + items[-1]


def choose(asked: str | None, accept: str | None) -> str:
    """The language that was asked for, else the first of the browser's list that we speak, else English."""
    if asked in CODES:
        return str(asked)
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
    return ENGLISH


def of_terminal(environ: Mapping[str, str]) -> str:
    """The language that a terminal asks for, by the variables of POSIX; English if we don't speak it."""
    asked = next(filter(None, (environ.get(name) for name in ("LC_ALL", "LC_MESSAGES", "LANG"))), "")
    code = asked.replace(".", "_").split("_")[0].lower()
    return code if code in CODES else ENGLISH


def _listed() -> Iterator[str]:
    """Every text of every language after the English one."""
    for code in CODES[1:]:
        yield from (f"{english}\t{own}" for english, own in words(code).texts.items())


if __name__ == "__main__":
    print("\n".join(_listed()))
