"""The rows in the text of a file: JSON, one a line, in a list or indented, and CSV. In constant memory.

A row that can't be read costs itself: what follows is read on, but for a list or document whose JSON is broken, in
which nobody can say where the next one begins.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from collections import deque
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from pipeline.errors import UserError
from pipeline.files.detect import Found, readings
from pipeline.ingest.validate import MAX_RECORD_BYTES
from schemas.translatable import Foreign, Sentence

#: A longer line can't be an event, and must not fill the memory.
MAX_LINE_BYTES: Final = 2 * MAX_RECORD_BYTES
_CHUNK: Final = 1 << 16
_TOO_LONG: Final = Sentence("longer than {most} bytes", most=MAX_RECORD_BYTES)
_NO_OBJECT: Final = Sentence("not a JSON object")
_NO_END: Final = Sentence("the list does not end: is the file cut?")
_SPACE: Final = re.compile(r"[ \t\r\n]*")


class BadRow(Exception):
    """Why a row is none. `number` is where, 0 if whoever catches it knows; `field` which of an event's it spoils."""

    def __init__(self, why: Sentence | Foreign, number: int = 0, field: str = "") -> None:
        super().__init__(why)
        self.why, self.number, self.field = why, number, field


class Row(NamedTuple):
    """A row: where it is, its columns (or why it is none), and its bytes, which make its identity."""

    number: int
    columns: dict[str, Any] | BadRow
    raw: bytes


def utf8(stream: io.BufferedReader, found: Found, name: str) -> io.BufferedReader:
    """The text of a file as UTF-8 with lines that end in LF, without its byte order mark."""
    stream.read(found.skip)
    if found.encoding == "utf-8" and not found.carriage_returns:
        return stream
    return io.BufferedReader(_Utf8(stream, found, name), _CHUNK)


class _Utf8(io.RawIOBase):
    """A stream in another encoding, as UTF-8."""

    def __init__(self, stream: io.BufferedReader, found: Found, name: str) -> None:
        self._stream, self._found, self._name = stream, found, name
        # Bytes that are wrong stay wrong (below), so the line that holds them is named and others are read.
        errors = "strict" if found.encoding[:6] in ("utf-16", "utf-32") else "surrogateescape"
        self._decoder = codecs.getincrementaldecoder(found.encoding)(errors)
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            data = self._stream.read1(_CHUNK)
            self._rest = self._converted(data)
            if not data:
                break
        taken = self._rest[: len(buffer)]
        self._rest = self._rest[len(buffer) :]
        buffer[: len(taken)] = taken
        return len(taken)

    def _converted(self, data: bytes) -> bytes:
        if self._found.encoding != "utf-8":
            try:
                text = self._decoder.decode(data, not data)
            except UnicodeDecodeError as exc:
                raise UserError(
                    "{name} is damaged, or not {encoding}: {reason}",
                    name=self._name,
                    encoding=self._found.encoding,
                    reason=exc.reason,
                ) from None
            # As surrogates, which UTF-8 has not: never by chance another letter.
            data = text.encode("utf-8", "surrogatepass")
        return data.replace(b"\r", b"\n") if self._found.carriage_returns else data


def lines(stream: io.BufferedReader) -> Iterator[tuple[int, bytes]]:
    """The lines with their numbers; one that is too long is cut."""
    number = 0
    while line := stream.readline(MAX_LINE_BYTES):
        number += 1
        yield number, line
        while len(line) == MAX_LINE_BYTES and not line.endswith(b"\n"):
            line = stream.readline(MAX_LINE_BYTES)  # the rest of a line that is too long


def rows(stream: io.BufferedReader, found: Found) -> Iterator[Row]:
    """The rows of a file, its text as UTF-8. Raises BadRow for a header that is none."""
    if found.format == "CSV":
        return _csv_rows(lines(stream), found)
    if found.format == "JSON lines":
        return json_lines(lines(stream), found)
    return _json_items(stream, found)


def not_text(raw: bytes, found: Found) -> Sentence | None:
    """Why these bytes are no text, None if they are."""
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        if found.encoding != "utf-8":
            return Sentence("not {encoding}", encoding=found.encoding)
        shown = readings(raw)
        return Sentence("not UTF-8 ({shown}?): say --encoding", shown=shown) if shown else Sentence("not UTF-8")
    return None


def json_lines(numbered: Iterator[tuple[int, bytes]], found: Found) -> Iterator[Row]:
    """The rows of lines of JSON, each with its number."""
    for number, raw in numbered:
        line = raw.strip()
        if not line:
            continue
        if len(line) > MAX_RECORD_BYTES:
            yield Row(number, BadRow(_TOO_LONG), b"")
        elif problem := not_text(line, found):
            yield Row(number, BadRow(problem), b"")
        else:
            try:
                data = json.loads(line)
            except (ValueError, RecursionError) as exc:
                yield Row(number, BadRow(Sentence("not JSON: {why}", why=Foreign(exc))), b"")
            else:
                yield Row(number, data if isinstance(data, dict) else BadRow(_NO_OBJECT), line)


def _json_items(stream: io.BufferedReader, found: Found) -> Iterator[Row]:
    """The objects of a JSON list, or one after the other over several lines; numbered from 1."""
    text = _Ahead(stream)
    in_list = found.format == "JSON array"
    if in_list:
        text.take("[")
    number = 0
    while True:
        if in_list and text.take("]"):
            if text.peek():
                more = Sentence("after the end of the list there is more, in line {line}", line=text.line)
                yield Row(number + 1, BadRow(more), b"")
            return
        if number and in_list and not text.take(","):
            what = Sentence("no comma in line {line}", line=text.line) if text.peek() else _NO_END
            yield Row(number + 1, BadRow(Sentence("{why}; nothing from here on is read", why=what)), b"")
            return
        if not text.peek():
            if in_list:
                yield Row(number + 1, BadRow(_NO_END), b"")
            return
        number += 1
        line = text.line
        try:
            data, raw = text.value()
        except (ValueError, RecursionError) as exc:
            said = Foreign(getattr(exc, "msg", exc))
            why = Sentence("(line {line}) not JSON: {why}; nothing from here on is read", line=line, why=said)
            yield Row(number, BadRow(why), b"")
            return
        if len(raw) > MAX_RECORD_BYTES:
            yield Row(number, BadRow(_TOO_LONG), b"")
        elif problem := not_text(raw, found):
            yield Row(number, BadRow(problem), b"")
        else:
            yield Row(number, data if isinstance(data, dict) else BadRow(_NO_OBJECT), raw)


class _Ahead:
    """A text that is read as far as its next JSON value needs."""

    def __init__(self, stream: io.BufferedReader) -> None:
        self._stream = stream
        self._decode = codecs.getincrementaldecoder("utf-8")("surrogateescape").decode
        self._scan = json.JSONDecoder().raw_decode
        self._text, self._at, self._ended = "", 0, False
        #: Line of what comes next.
        self.line = 1

    def peek(self) -> str:
        """The next character that is no white space; "" at the end."""
        while True:
            end = _SPACE.match(self._text, self._at).end()  # type: ignore[union-attr]
            self._pass(end)
            if end < len(self._text) or not self._more():
                return self._text[self._at : self._at + 1]

    def take(self, character: str) -> bool:
        """Pass this character, if it comes next."""
        if self.peek() != character:
            return False
        self._pass(self._at + 1)
        return True

    def value(self) -> tuple[Any, bytes]:
        """The next value and its bytes. Raises ValueError, RecursionError."""
        self.peek()
        wanted = 0
        while True:
            try:
                data, end = self._scan(self._text, self._at)
            except ValueError:
                # Not yet whole? Twice as much each time, so that a long value costs no more than twice its length.
                wanted = 2 * max(wanted, len(self._text) - self._at)
                if wanted > 4 * MAX_RECORD_BYTES or not self._more(wanted):
                    raise
                continue
            if end == len(self._text) and self._text[end - 1] not in '}]"' and self._more():
                continue  # a number may go on
            raw = self._text[self._at : end].encode("utf-8", "surrogateescape")
            self._pass(end)
            return data, raw

    def _pass(self, end: int) -> None:
        self.line += self._text.count("\n", self._at, end)
        self._at = end

    def _more(self, wanted: int = 0) -> bool:
        """Read on, until so many characters lie ahead; whether there was anything."""
        self._text, self._at = self._text[self._at :], 0
        parts, size, came = [self._text], len(self._text), False
        while not self._ended and (not came or size < wanted):
            data = self._stream.read1(_CHUNK)
            self._ended = not data
            parts.append(self._decode(data, self._ended))
            size += len(parts[-1])
            came = came or bool(parts[-1])
        self._text = "".join(parts)
        return came


def _csv_rows(numbered: Iterator[tuple[int, bytes]], found: Found) -> Iterator[Row]:
    source = _Lines(numbered)
    if found.sep_line:
        source.take()
    header: list[str] | None = None
    while (first := source.take()) is not None:
        number, raw = first
        try:
            if len(raw) > MAX_RECORD_BYTES:
                raise BadRow(_TOO_LONG, number)
            cells, number = _record(source, first, found, len(header or ()))
        except BadRow as bad:
            if header is None:
                raise BadRow(Sentence("no header: {why}", why=bad.why), bad.number) from None
            yield Row(bad.number, bad, b"")
            continue
        if not any(cells):
            continue  # a blank line, or a row that a spreadsheet has left empty
        if header is None:
            header = _header(cells, number, found)
            continue
        while len(cells) > len(header) and not cells[-1]:
            cells.pop()
        raw = found.separator.join(cells).encode("utf-8", "surrogateescape")
        if len(cells) != len(header):
            others = Sentence("{cells} cells, where the header has {header}", cells=len(cells), header=len(header))
            yield Row(number, BadRow(others), b"")
        elif problem := not_text(raw, found):
            yield Row(number, BadRow(problem), b"")
        else:
            yield Row(number, dict(zip(header, cells, strict=True)), raw)


def _header(cells: list[str], number: int, found: Found) -> list[str]:
    # Files that were put together have a second byte order mark.
    names = [cell.strip().strip("\ufeff") for cell in cells]
    while not names[-1]:
        names.pop()
    if problem := not_text(",".join(names).encode("utf-8", "surrogateescape"), found):
        raise BadRow(Sentence("the header is {why}", why=problem), number)
    if len(set(names)) < len(names):
        raise BadRow(Sentence("the header names a column twice"), number)
    return names


class _Lines:
    """Lines that can be put back."""

    def __init__(self, numbered: Iterator[tuple[int, bytes]]) -> None:
        self._numbered = numbered
        self._back: deque[tuple[int, bytes]] = deque()

    def take(self) -> tuple[int, bytes] | None:
        return self._back.popleft() if self._back else next(self._numbered, None)

    def put_back(self, taken: list[tuple[int, bytes]]) -> None:
        self._back.extendleft(reversed(taken))


def _record(source: _Lines, first: tuple[int, bytes], found: Found, width: int) -> tuple[list[str], int]:
    """The cells of the record that begins in this line, and the line it ends in. Raises BadRow.

    A quote that nobody closes would swallow the rows behind it: then its line alone is bad, and they are read.
    """
    number, raw = first
    text = raw.decode("utf-8", "surrogateescape")
    bare = text.rstrip("\r\n")
    if '"' not in text and "\r" not in bare and len(bare) <= csv.field_size_limit():
        return bare.split(found.separator), number
    taken: list[tuple[int, bytes]] = []

    def feed() -> Iterator[str]:
        yield text
        size = len(raw)
        while size <= MAX_RECORD_BYTES and (line := source.take()) is not None:
            taken.append(line)
            size += len(line[1])
            yield line[1].decode("utf-8", "surrogateescape")

    try:
        cells = next(csv.reader(feed(), delimiter=found.separator, strict=True), [])
    except csv.Error as exc:
        if taken or "unexpected end of data" in str(exc):
            source.put_back(taken)
            why = Sentence('a quote opens here and is not closed: write "" for a quote in a cell')
            raise BadRow(why, number) from None
        raise BadRow(Sentence("not CSV: {why}", why=Foreign(exc)), number) from None
    if len(taken) > 1 and width > 2 and all(_width(line, found.separator) == width for _, line in taken):
        # Two stray quotes, and rows between them: a cell of text doesn't have as many separators in every line.
        source.put_back(taken)
        end = taken[-1][0]
        raise BadRow(Sentence("a quote opens here and closes in line {line}, behind whole rows", line=end), number)
    return cells, taken[-1][0] if taken else number


def _width(line: bytes, separator: str) -> int:
    return line.count(separator.encode()) + 1
