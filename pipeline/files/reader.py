"""Events from files, whatever they are packed, encoded and written in, in constant memory.

A line that is an event as it should be is sent byte for byte. Other lines are changed only as far as needed:
a time is made epoch milliseconds, and an event without `event_id` gets one from its content and line number,
so that sending the same file twice gives duplicates and not twice the events.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pipeline.errors import UserError
from pipeline.files.detect import SAMPLE_BYTES, Found, Given, detect
from pipeline.files.mapping import ColumnMapping
from pipeline.files.numbers import number_text
from pipeline.files.packing import open_bytes, title
from pipeline.files.plain import actor_of_line
from pipeline.files.rows import BadRow, Row, json_lines, lines, rows, utf8
from pipeline.files.times import parse_time
from schemas.plan import Plan
from schemas.translatable import Foreign, Sentence, said_of


class FileEvent(NamedTuple):
    """An event of a file: the line it ends at (1 is the first), its actor as the key, its bytes."""

    number: int
    key: bytes
    value: bytes


class BadLineError(UserError):
    """A line of a file that is not an event; in a list or among documents, an item. `where` it is, as a sentence."""

    def __init__(self, source: str, number: int, problem: Sentence | Foreign, where: Sentence) -> None:
        super().__init__("{file} {where}: {why}", file=title(source), where=where, why=problem)
        self.number, self.problem, self.where = number, problem, where


@dataclass(frozen=True)
class Reading:
    """How a file is to be read. With a `plan`, text in CSV cells becomes what the plan says a property is."""

    mapping: ColumnMapping | None = None  # None: JSON as it is, CSV by the names of its columns
    zone: tzinfo | None = None  # of times that have none; None: UTC
    plan: Plan | None = None
    given: Given = field(default_factory=Given)
    decimal: str | None = None
    time_format: str | None = None

    @property
    def changes(self) -> bool:
        """Whether even JSON lines are to be changed."""
        return self.mapping is not None or self.zone is not None or self.time_format is not None


@dataclass(frozen=True)
class Opened:
    """A file that is open: what it is, how it is packed, its text as UTF-8."""

    source: str
    found: Found
    packing: str
    stream: io.BufferedReader

    def words(self) -> Sentence:
        """What it is, for a person."""
        said = self.found.words()
        return Sentence("{file}, packed with {packing}", file=said, packing=self.packing) if self.packing else said

    def where(self, number: int) -> Sentence:
        """A row of it, for a person."""
        if self.found.format in ("CSV", "JSON lines"):
            return Sentence("line {line}", line=number)
        return Sentence("item {item}", item=number)

    def bad(self, number: int, problem: Sentence | Foreign) -> BadLineError:
        """A row of it that is none."""
        return BadLineError(self.source, number, problem, self.where(number))


def zone_of(name: str) -> tzinfo:
    """The time zone; raises UserError if there is none of that name."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UserError("--tz {name} is not a time zone: write it like Europe/Berlin or UTC", name=repr(name)) from None


@contextmanager
def open_file(source: str, given: Given | None = None) -> Iterator[Opened]:
    """Open a file ("-" is standard input) and find out what it is.

    Raises UserError, in one line, if it can't be read, is empty, or is nothing that holds rows.
    """
    with open_bytes(source) as (stream, packing):
        sample = stream.peek(SAMPLE_BYTES)
        # Of a pipe that is what has come so far: whoever writes it may wait for us.
        whole = len(sample) < SAMPLE_BYTES and source != "-" and (bool(packing) or Path(source).is_file())
        found = detect(sample, title(source), given or Given(), whole=whole)
        if found.empty and source != "-":
            raise UserError("{source} is empty", source=source)
        yield Opened(source, found, packing, utf8(stream, found, title(source)))


def each_row(file: Opened) -> Iterator[Row]:
    """The rows of a file, good and bad. Raises BadLineError for a header that is none."""
    try:
        yield from rows(file.stream, file.found)
    except BadRow as bad:
        raise file.bad(bad.number, bad.why) from None


def read_events(
    source: str, reading: Reading | None = None, *, on_bad: Callable[[BadLineError], None] | None = None
) -> Iterator[FileEvent]:
    """The events of the file `source` ("-" is standard input), one after the other.

    A bad line raises BadLineError, or is handed to `on_bad` and left out. UserError if it can't be opened.
    """
    reading = reading or Reading()
    with open_file(source, reading.given) as file:
        yield from events(file, reading, on_bad)


def events(file: Opened, reading: Reading, on_bad: Callable[[BadLineError], None] | None = None) -> Iterator[FileEvent]:
    """The events of an open file; what is none goes to `on_bad`, or is raised."""
    numbered = _read_lines(file) if file.found.format == "JSON lines" and not reading.changes else each_row(file)
    for row in numbered:
        if isinstance(row, FileEvent):
            yield row
            continue
        try:
            line = event_of(row, reading, file.found)
        except BadRow as bad:
            problem = file.bad(bad.number or row.number, bad.why)
            if on_bad is None:
                raise problem from None
            on_bad(problem)
            continue
        yield line


def _read_lines(file: Opened) -> Iterator[FileEvent | Row]:
    """The lines of JSON: those that are sent as they are as events, the others as rows."""
    for number, raw in lines(file.stream):
        line = raw.strip()
        actor = actor_of_line(line)
        if actor is not None:
            yield FileEvent(number, actor, line)
        else:
            yield from json_lines(iter([(number, raw)]), file.found)


def records(file: Opened, reading: Reading, on_bad: Callable[[BadLineError], None]) -> Iterator[tuple[int, bytes]]:
    """The records that an open file stands for, with their lines.

    JSON is taken as it is, as if each line were a Kafka record. CSV, and any file that is to be changed on its way
    (`Reading.changes`), is prepared as `send` does it.
    """
    if file.found.format == "CSV" or reading.changes:
        for line in events(file, reading, on_bad):
            yield line.number, line.value
    elif file.found.format == "JSON lines":
        for number, raw in lines(file.stream):
            text = raw.rstrip(b"\r\n")
            if text.strip():
                yield number, text
    else:
        for row in each_row(file):
            if isinstance(row.columns, BadRow):
                on_bad(file.bad(row.number, row.columns.why))
            else:
                yield row.number, row.raw


def event_of(row: Row, reading: Reading, found: Found) -> FileEvent:
    """The event that a row stands for. Raises BadRow."""
    if isinstance(row.columns, BadRow):
        raise row.columns
    is_json = found.format != "CSV"
    mapping = reading.mapping or (None if is_json else _BY_NAME)
    try:
        event = mapping.apply(row.columns) if mapping else dict(row.columns)
    except ValueError as exc:
        raise BadRow(said_of(exc)) from None
    if "ts" not in event:
        inside = [name for name, value in row.columns.items() if _are_objects(value)] if is_json else []
        if inside:
            why = Sentence(
                "it has no time, but a list of objects in {name}: give that list alone", name=repr(inside[0])
            )
            raise BadRow(why, field="ts")
        raise BadRow(Sentence("it has no time: name its column with --map ts=COLUMN"), field="ts")
    try:
        event["ts"] = parse_time(event["ts"], reading.zone or UTC, reading.time_format)
    except ValueError as exc:
        raise BadRow(said_of(exc), field="ts") from None
    if "event_id" not in event:
        digest = blake2b(b"%d\n" % row.number, digest_size=16)
        digest.update(row.raw)
        event["event_id"] = digest.hexdigest()
    if not is_json and reading.plan is not None and "properties" in event:
        event["properties"] = _typed(event["properties"], event.get("event"), reading, found)
    actor = event.get("user_id") or event.get("anonymous_id")
    if actor is None or actor == "":
        raise BadRow(Sentence("it has no actor: name its column with --map user_id=COLUMN"))
    if not isinstance(actor, str):
        raise BadRow(Sentence("its actor is not text: {actor}", actor=repr(actor)[:60]))
    try:
        value = row.raw if is_json and event == row.columns else json.dumps(event, ensure_ascii=False).encode()
        return FileEvent(row.number, actor.encode(), value)
    except UnicodeEncodeError:
        raise BadRow(Sentence("it has half of a character (a lone surrogate)")) from None


_BY_NAME: Final = ColumnMapping()


def _are_objects(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) for item in value)


def _typed(properties: Mapping[str, Any], event: Any, reading: Reading, found: Found) -> dict[str, Any]:
    """Text to what the plan says it is; text that doesn't fit stays, for the validator to complain about.

    Raises BadRow for what may be two things.
    """
    assert reading.plan is not None
    spec = reading.plan.events.get(event)
    if spec is None:
        return dict(properties)
    out = {}
    for name, text in properties.items():
        kind = spec.properties[name].type if name in spec.properties else "string"
        try:
            out[name] = _as(kind, text, reading.decimal, found.separator == ";")
        except ValueError as exc:
            raise BadRow(Sentence("{place}: {why}", place=f"properties.{name}", why=said_of(exc))) from None
    return out


def _as(kind: str, text: Any, decimal: str | None, commas: bool) -> Any:
    if not isinstance(text, str) or "_" in text:
        return text
    if kind in ("integer", "number"):
        plain = number_text(text, decimal, commas=commas, integer=kind == "integer")
        text = text if plain is None else plain
    try:
        match kind:
            case "integer":
                return int(text)
            case "number":
                return float(text)
            case "boolean":
                return {"true": True, "1": True, "false": False, "0": False}.get(text.lower(), text)
            case "array" | "object":
                return json.loads(text)
    except (ValueError, RecursionError):
        pass
    return text
