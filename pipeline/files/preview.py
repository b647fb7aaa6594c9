"""What would become of a file, column by column, before anything is sent or imported."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

from rich.cells import cell_len

from pipeline.files.mapping import TARGETS
from pipeline.files.reader import BadLineError, Opened, Reading, each_row, event_of
from pipeline.files.rows import BadRow
from pipeline.ingest.validate import Rejection, Validator
from pipeline.terminal import padded, plain
from schemas.plan import Plan
from schemas.translatable import Foreign, Sentence, Speech

#: What becomes of a column that fills no field.
LEFT_OUT: Final = Sentence("left out")
#: Columns that are kept apart: those of JSON are named by strangers.
MAX_COLUMNS: Final = 200
_MAX_SAMPLE: Final = 40
_MAX_BECAUSE: Final = 200


@dataclass
class Column:
    """What becomes of a column: the field it fills, in how many rows, and an example before and after."""

    name: str
    becomes: str
    filled: int = 0
    such_as: str = ""
    read_as: str = ""
    wrong: int = 0
    because: str = ""


class Columns:
    """The columns of a file, as its rows are read."""

    def __init__(self) -> None:
        self._columns: dict[str, Column] = {}

    def seen(self, name: str, becomes: str, value: Any, read_as: Any = None) -> None:
        """A cell of a column."""
        column = self._columns.get(name)
        if column is None:
            if len(self._columns) >= MAX_COLUMNS:
                return
            column = self._columns[name] = Column(name, becomes)
        if value is None or value == "":
            return
        column.filled += 1
        if not column.such_as:
            column.such_as = _short(value)
            text = _short(read_as) if read_as is not None else ""
            column.read_as = text if text != column.such_as else ""

    def wrong(self, target: str, words: str) -> None:
        """A cell that was refused, by the field it fills."""
        for column in self._columns.values():
            if column.becomes.partition(" ")[0] == target:
                column.wrong += 1
                column.because = column.because or (words if len(words) <= _MAX_BECAUSE else words[:_MAX_BECAUSE])

    def lines(self, t: Speech) -> Iterator[str]:
        """As a table for a person."""
        if not self._columns:
            return
        rows = [(t("column"), t("becomes"), t("filled"), t("such as"))]
        for column in self._columns.values():
            example = column.such_as + (f" → {column.read_as}" if column.read_as else "")
            rows.append((plain(column.name), t.said(column.becomes), f"{column.filled:,}", example))
        widths = [max(cell_len(row[k]) for row in rows) for k in range(3)]
        for row, of in zip(rows, [None, *self._columns.values()], strict=True):
            count = " " * (widths[2] - cell_len(row[2])) + row[2]
            yield f"  {padded(row[0], widths[0])}  {padded(row[1], widths[1])}  {count}  {row[3]}".rstrip()
            if of is not None and of.wrong:
                yield "    " + t("{n} wrong, the first: {why}", n=f"{of.wrong:,}", why=t.said(of.because))

    def document(self) -> list[dict[str, Any]]:
        """As JSON."""
        return [asdict(column) for column in self._columns.values()]


@dataclass
class Preview:
    """What would become of a file of events."""

    events: int = 0
    bad: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    names: Counter[str] = field(default_factory=Counter)
    columns: Columns = field(default_factory=Columns)
    problems: list[BadLineError] = field(default_factory=list)

    @property
    def rejected(self) -> int:
        """Events that would be sent and not be accepted."""
        return sum(self.reasons.values())

    def read(self, file: Opened, reading: Reading, plan: Plan, shown: int) -> None:
        """Read all of a file, as `send` would; the first `shown` problems are kept."""
        validator = Validator(plan)
        becomes = _Becomes(file, reading, plan)
        for row in each_row(file):
            event: dict[str, Any] = {}
            problem, cause = None, ""
            words: Sentence | Foreign = Foreign()
            try:
                line = event_of(row, reading, file.found)
                self.events += 1
                found = validator.parse(line.value)
                event = {**found.fields, "ts": f"{datetime.fromtimestamp(found.ts / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"}
                self.names[found.name] += 1
            except BadRow as bad:
                self.bad += 1
                cause, words = bad.field, bad.why
                problem = file.bad(bad.number or row.number, words)
            except Rejection as why:
                self.reasons[why.reason] += 1
                words = Foreign(why.detail)
                problem = file.bad(row.number, Sentence("{place}: {why}", place=why.reason, why=words))
            if isinstance(row.columns, dict):
                self._look(row.columns, event, becomes)
            if problem is not None:
                self._blame(words, cause)
                if len(self.problems) < shown:
                    self.problems.append(problem)

    def _look(self, row: Mapping[str, Any], event: Mapping[str, Any], becomes: _Becomes) -> None:
        for name, value in becomes.cells(row):
            targets, shown = becomes.of(name)
            after = None
            if targets:
                holder, _, key = targets[0].partition(".")
                after = (event.get("properties") or {}).get(key) if key else event.get(holder)
            self.columns.seen(name, shown, value, after)

    def _blame(self, words: Sentence | Foreign, target: str = "") -> None:
        """Count what is wrong at the columns that caused it: `field: words; field: words`."""
        match words:
            case _ if target:
                self.columns.wrong(target, words)
            case Sentence(values={"place": str(place), "why": Sentence() | Foreign() as why}):
                self.columns.wrong(place, why)
            case _:
                for part in words.split("; "):
                    name, colon, rest = part.partition(": ")
                    if colon:
                        self.columns.wrong(name, Foreign(rest))


class _Becomes:
    """Which fields of an event a column fills."""

    def __init__(self, file: Opened, reading: Reading, plan: Plan) -> None:
        self._mapping = reading.mapping
        self._by_name = file.found.format == "CSV" or reading.mapping is not None
        self._plan = plan
        #: The fields that a column fills, and that in words. A file of JSON may have any number of columns.
        self.of = lru_cache(MAX_COLUMNS)(self._of)

    def cells(self, row: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
        """The columns of a row; those of a JSON event with its properties one by one."""
        for name, value in row.items():
            if name == "properties" and isinstance(value, dict):
                for key, item in value.items():
                    yield f"properties.{key}", item
            else:
                yield name, value

    def _of(self, column: str) -> tuple[list[str], Sentence]:
        targets = self.targets(column)
        return targets, Sentence.joined(", ", map(self.words, targets)) if targets else LEFT_OUT

    def targets(self, column: str) -> list[str]:
        """The fields, none if it is left out."""
        if self._mapping is not None:
            named = [target for target, name in self._mapping.columns.items() if name == column]
            if named:
                return named
            if self._mapping.drop:
                return []
        if column == "":
            return []
        if column in TARGETS or column.startswith("properties.") or not self._by_name:
            return [column]
        return [f"properties.{column}"]

    def words(self, target: str) -> str:
        """The field, and what the plan says of it."""
        if not target.startswith("properties."):
            return target if target in TARGETS else Sentence("{field} (an event has no such field)", field=target)
        name = target.removeprefix("properties.")
        kinds = {spec.properties[name].type for spec in self._plan.events.values() if name in spec.properties}
        if not kinds:
            return Sentence("{field} (in no event of the plan)", field=target)
        first, *others = sorted(kinds)
        either: str = first
        for other in others:
            either = Sentence("{one} or {another}", one=either, another=other)
        return Sentence("{field} ({kind})", field=target, kind=either)


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= _MAX_SAMPLE else text[: _MAX_SAMPLE - 1] + "…"
