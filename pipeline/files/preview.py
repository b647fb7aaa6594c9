"""What would become of a file, column by column, before anything is sent or imported."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from pipeline.files.mapping import TARGETS
from pipeline.files.reader import Opened, Reading, each_row, event_of
from pipeline.files.rows import BadRow
from pipeline.ingest.validate import Rejection, Validator
from schemas.plan import Plan

#: Columns that are kept apart: those of JSON are named by strangers.
MAX_COLUMNS: Final = 200
_MAX_SAMPLE: Final = 40


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
                column.because = column.because or words[:200]

    def lines(self) -> Iterator[str]:
        """As a table for a person."""
        if not self._columns:
            return
        rows = [("column", "becomes", "filled", "such as")]
        for column in self._columns.values():
            example = column.such_as + (f" → {column.read_as}" if column.read_as else "")
            rows.append((column.name, column.becomes, f"{column.filled:,}", example))
        widths = [max(len(row[k]) for row in rows) for k in range(3)]
        for row, of in zip(rows, [None, *self._columns.values()], strict=True):
            text = f"  {row[0]:<{widths[0]}}  {row[1]:<{widths[1]}}  {row[2]:>{widths[2]}}  {row[3]}"
            yield text.rstrip()
            if of is not None and of.wrong:
                yield f"    {of.wrong:,} wrong, the first: {of.because}"

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
    problems: list[str] = field(default_factory=list)

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
            problem, cause, words = None, "", ""
            try:
                line = event_of(row, reading, file.found)
                self.events += 1
                found = validator.parse(line.value)
                event = {**found.fields, "ts": f"{datetime.fromtimestamp(found.ts / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"}
                self.names[found.name] += 1
            except BadRow as bad:
                self.bad += 1
                cause, words = bad.field, str(bad)
                problem = file.bad(bad.number or row.number, words)
            except Rejection as why:
                self.reasons[why.reason] += 1
                words = why.detail
                problem = file.bad(row.number, f"{why.reason}: {words}")
            if isinstance(row.columns, dict):
                self._look(row.columns, event, becomes)
            if problem is not None:
                self._blame(words, cause)
                if len(self.problems) < shown:
                    self.problems.append(str(problem))

    def _look(self, row: Mapping[str, Any], event: Mapping[str, Any], becomes: _Becomes) -> None:
        for name, value in becomes.cells(row):
            targets = becomes.targets(name)
            shown = ", ".join(map(becomes.words, targets)) or "left out"
            after = None
            if targets:
                holder, _, key = targets[0].partition(".")
                after = (event.get("properties") or {}).get(key) if key else event.get(holder)
            self.columns.seen(name, shown, value, after)

    def _blame(self, words: str, target: str = "") -> None:
        """Count what is wrong at the columns that caused it: `field: words; field: words`."""
        for part in [f"{target}: {words}"] if target else words.split("; "):
            field_name, colon, why = part.partition(": ")
            if colon:
                self.columns.wrong(field_name, why)


class _Becomes:
    """Which fields of an event a column fills."""

    def __init__(self, file: Opened, reading: Reading, plan: Plan) -> None:
        self._mapping = reading.mapping
        self._by_name = file.found.format == "CSV" or reading.mapping is not None
        self._plan = plan

    def cells(self, row: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
        """The columns of a row; those of a JSON event with its properties one by one."""
        for name, value in row.items():
            if name == "properties" and isinstance(value, dict):
                for key, item in value.items():
                    yield f"properties.{key}", item
            else:
                yield name, value

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
            return target if target in TARGETS else f"{target} (an event has no such field)"
        name = target.removeprefix("properties.")
        kinds = {spec.properties[name].type for spec in self._plan.events.values() if name in spec.properties}
        return f"{target} ({' or '.join(sorted(kinds)) or 'in no event of the plan'})"


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= _MAX_SAMPLE else text[: _MAX_SAMPLE - 1] + "…"
