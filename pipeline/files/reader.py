"""Events from files: JSON lines or CSV, gzipped or not, from a path or standard input, in constant memory.

A line that is an event as it should be is sent byte for byte. Other lines are changed only as far as needed:
a time is made epoch milliseconds, and an event without `event_id` gets one from its content and line number,
so that sending the same file twice gives duplicates and not twice the events.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, tzinfo
from hashlib import blake2b
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pipeline.errors import UserError
from pipeline.files.mapping import ColumnMapping
from pipeline.files.times import parse_time
from pipeline.ingest.validate import MAX_RECORD_BYTES
from schemas.plan import Plan

Format = Literal["jsonl", "csv"]
#: A longer line can't be an event, and must not fill the memory.
MAX_LINE_BYTES: Final = 2 * MAX_RECORD_BYTES
_GZIP: Final = b"\x1f\x8b"
_BOM: Final = b"\xef\xbb\xbf"


class Line(NamedTuple):
    """An event of a file: the line it ends at (1 is the first), its actor as the key, its bytes."""

    number: int
    key: bytes
    value: bytes


class BadLineError(UserError):
    """A line of a file that is not an event."""

    def __init__(self, source: str, number: int, problem: str) -> None:
        super().__init__(f"{'standard input' if source == '-' else source} line {number}: {problem}")
        self.number, self.problem = number, problem


@dataclass(frozen=True)
class Reading:
    """How a file is to be read. With a `plan`, text in CSV cells becomes what the plan says a property is."""

    mapping: ColumnMapping | None = None  # None: JSON as it is, CSV by the names of its columns
    zone: tzinfo = UTC
    format: Format | None = None  # None: by the name of the file, else by its first character
    plan: Plan | None = None


def zone_of(name: str) -> tzinfo:
    """The time zone; raises UserError if there is none of that name."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UserError(f"--tz {name!r} is not a time zone: write it like Europe/Berlin or UTC") from None


def read_events(
    source: str, reading: Reading | None = None, *, on_bad: Callable[[BadLineError], None] | None = None
) -> Iterator[Line]:
    """The events of the file `source` ("-" is standard input), one after the other.

    A bad line raises BadLineError, or is handed to `on_bad` and left out. UserError if it can't be opened.
    """
    reading = reading or Reading()
    with open_bytes(source) as stream:
        rows = _rows(source, stream, reading)
        while True:
            number = 0
            try:
                found = next(rows, None)
                if found is None:
                    return
                number, row, raw = found
                line = _event(number, row, raw, reading)
            except _BadRow as bad:
                problem = BadLineError(source, bad.number or number, str(bad))
                if on_bad is None:
                    raise problem from None
                on_bad(problem)
                continue
            yield line


def read_lines(source: str) -> Iterator[tuple[int, bytes]]:
    """The lines of a file as they are, without their ends; blank ones left out. What is too long is cut."""
    with open_bytes(source) as stream:
        for number, raw in _lines(stream):
            line = raw.rstrip(b"\r\n")
            if line.strip():
                yield number, line


def read_rows(source: str, *, on_bad: Callable[[BadLineError], None]) -> Iterator[tuple[int, dict[str, Any]]]:
    """The rows of a file of JSON lines or CSV, by column, each with its line; a bad one goes to `on_bad`.

    Raises UserError if the file can't be opened or has no header.
    """
    with open_bytes(source) as stream:
        try:
            for number, row, _ in _rows(source, stream, Reading()):
                if isinstance(row, _BadRow):
                    on_bad(BadLineError(source, row.number or number, str(row)))
                else:
                    yield number, row
        except _BadRow as bad:
            raise BadLineError(source, bad.number, str(bad)) from None


@contextmanager
def open_bytes(source: str) -> Iterator[BinaryIO]:
    """The bytes of a file or of standard input, unpacked if they are gzipped. Raises UserError."""
    try:
        # Standard input by a reader of our own: Python closes its own at exit, when a thread may wait in it.
        stream = open(0, "rb", closefd=False) if source == "-" else Path(source).open("rb")  # noqa: SIM115
    except OSError as exc:
        raise UserError(f"{source} can't be read: {exc.strerror or exc}") from None
    try:
        if stream.peek(2)[:2] == _GZIP:
            yield io.BufferedReader(gzip.GzipFile(fileobj=stream, mode="rb"), 1 << 18)
        else:
            yield stream
    except (EOFError, gzip.BadGzipFile, zlib.error) as exc:
        raise UserError(f"{source} is a damaged gzip file: {exc}") from None
    except OSError as exc:
        raise UserError(f"{source} can't be read: {exc.strerror or exc}") from None
    finally:
        stream.close()


class _BadRow(Exception):
    def __init__(self, problem: str, number: int = 0) -> None:
        super().__init__(problem)
        self.number = number


#: Line number, the columns, and the bytes that make the event's identity (and, for JSON, may be sent).
_Row = tuple[int, dict[str, Any] | _BadRow, bytes]


def _rows(source: str, stream: BinaryIO, reading: Reading) -> Iterator[_Row]:
    lines = _lines(stream)
    first = next(lines, None)
    if first is None:
        return iter(())
    lines = chain([(1, first[1].removeprefix(_BOM))], lines)
    name = source.lower().removesuffix(".gz")
    form = reading.format or {".csv": "csv", ".tsv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}.get(
        Path(name).suffix
    )
    if form is None:
        form = "jsonl" if first[1].removeprefix(_BOM).lstrip()[:1] in (b"{", b"[") else "csv"
    if form == "jsonl":
        return _json_rows(lines)
    return _csv_rows(lines, "\t" if name.endswith(".tsv") else ",")


def _lines(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    number = 0
    while line := stream.readline(MAX_LINE_BYTES):
        number += 1
        yield number, line
        while len(line) == MAX_LINE_BYTES and not line.endswith(b"\n"):
            line = stream.readline(MAX_LINE_BYTES)  # the rest of a line that is too long


def _json_rows(lines: Iterator[tuple[int, bytes]]) -> Iterator[_Row]:
    for number, raw in lines:
        line = raw.strip()
        if not line:
            continue
        if len(line) > MAX_RECORD_BYTES:
            yield number, _BadRow(f"longer than {MAX_RECORD_BYTES} bytes", number), b""
            continue
        try:
            data = json.loads(line.decode("utf-8"))
        except UnicodeDecodeError:
            yield number, _BadRow("not UTF-8", number), b""
        except (ValueError, RecursionError) as exc:
            yield number, _BadRow(f"not JSON: {exc}", number), b""
        else:
            row = data if isinstance(data, dict) else _BadRow("not a JSON object", number)
            yield number, row, line


def _csv_rows(lines: Iterator[tuple[int, bytes]], delimiter: str) -> Iterator[_Row]:
    # Bytes that are not UTF-8 are let through as surrogates: a reader that raised could not go on.
    texts = (raw.decode("utf-8", "surrogateescape") for _, raw in lines)
    reader = csv.reader(texts, delimiter=delimiter, strict=True)
    header: list[str] | None = None
    while True:
        try:
            cells = next(reader, None)
        except csv.Error as exc:
            if header is None:
                raise _BadRow(f"no header: {exc}", reader.line_num) from None
            yield reader.line_num, _BadRow(f"not CSV: {exc}", reader.line_num), b""
            continue
        if cells is None:
            return
        if not cells:
            continue
        number = reader.line_num
        if header is None:
            header = [cell.strip() for cell in cells]
            if len(set(header)) < len(header):
                raise _BadRow("the header names a column twice", number)
            continue
        raw = delimiter.join(cells).encode("utf-8", "surrogateescape")
        if len(cells) != len(header):
            yield number, _BadRow(f"{len(cells)} cells, where the header has {len(header)}", number), b""
        elif not _is_utf8(raw):
            yield number, _BadRow("not UTF-8", number), b""
        else:
            yield number, dict(zip(header, cells, strict=True)), raw


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _event(number: int, row: dict[str, Any] | _BadRow, raw: bytes, reading: Reading) -> Line:
    if isinstance(row, _BadRow):
        raise row
    is_json = raw[:1] == b"{"
    mapping = reading.mapping or (None if is_json else _BY_NAME)
    try:
        event = mapping.apply(row) if mapping else dict(row)
        if "ts" not in event:
            raise ValueError("it has no time: name its column with --map ts=COLUMN")
        event["ts"] = parse_time(event["ts"], reading.zone)
    except ValueError as exc:
        raise _BadRow(str(exc), number) from None
    if "event_id" not in event:
        digest = blake2b(b"%d\n" % number, digest_size=16)
        digest.update(raw)
        event["event_id"] = digest.hexdigest()
    if not is_json and reading.plan is not None and "properties" in event:
        event["properties"] = _typed(event["properties"], event.get("event"), reading.plan)
    actor = event.get("user_id") or event.get("anonymous_id")
    if actor is None or actor == "":
        raise _BadRow("it has no actor: name its column with --map user_id=COLUMN", number)
    if not isinstance(actor, str):
        raise _BadRow(f"its actor is not text: {actor!r:.60}", number)
    try:
        value = raw if is_json and event == row else json.dumps(event, ensure_ascii=False).encode()
        return Line(number, actor.encode(), value)
    except UnicodeEncodeError:
        raise _BadRow("it has half of a character (a lone surrogate)", number) from None


_BY_NAME: Final = ColumnMapping()


def _typed(properties: Mapping[str, Any], event: Any, plan: Plan) -> dict[str, Any]:
    """Text to what the plan says it is; text that doesn't fit stays, for the validator to complain about."""
    spec = plan.events.get(event)
    if spec is None:
        return dict(properties)
    return {
        name: _as(spec.properties[name].type, text) if name in spec.properties else text
        for name, text in properties.items()
    }


def _as(kind: str, text: Any) -> Any:
    if not isinstance(text, str) or "_" in text:
        return text
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
