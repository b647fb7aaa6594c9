"""What a file of events is: its encoding, its ends of lines, its format, its separator. Pure, on its first bytes.

`check`, `send`, `replay` and `import` all ask here, so a file is the same file to each of them. What the bytes don't
say for sure is not guessed: text that is no UTF-8 is named line by line, with what it would read in the usual
encodings, and whoever knows the file says which with `--encoding`. A guess would be wrong without anybody's seeing it:
of files with names of cities and people in Windows' Western encoding, charset-normalizer 3.5.3 makes "Espańa", "Săo
Paulo" and "Franþois"; Python's `csv.Sniffer` takes a frequent letter for a separator.
"""

from __future__ import annotations

import codecs
import csv
import json
import re
from dataclasses import dataclass
from typing import Final, Literal

from pipeline.errors import UserError
from schemas.translatable import Sentence

Format = Literal["JSON lines", "JSON array", "JSON documents", "CSV"]
#: So much of a file is looked at.
SAMPLE_BYTES: Final = 1 << 18
SEPARATORS: Final = ",;\t|"
#: Read for somebody who has to choose, in this order.
USUAL_ENCODINGS: Final = ("cp1252", "gb18030")

_BOMS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_JSON: Final[dict[str, Sentence]] = {
    "JSON lines": Sentence("JSON lines"),
    "JSON array": Sentence("JSON array"),
    "JSON documents": Sentence("JSON documents"),
}
_BETWEEN: Final[dict[str, str]] = {
    ",": Sentence("commas"),
    ";": Sentence("semicolons"),
    "\t": Sentence("tabs"),
    "|": Sentence("bars"),
}
_NOT_TEXT: Final[dict[bytes, str]] = {
    b"PK\x03\x04": Sentence("a zip archive in another file"),
    b"\x1f\x8b": Sentence("packed twice: unpack it once"),
    b"\x28\xb5\x2f\xfd": Sentence("packed twice: unpack it once"),
    b"PAR1": Sentence("a Parquet file: write it as CSV or JSON lines"),
    b"%PDF": Sentence("a PDF file"),
    b"\xd0\xcf\x11\xe0": Sentence("an old Office document: save the sheet as CSV"),
    b"SQLite format 3": Sentence("an SQLite database: write the table as CSV"),
    b"Obj\x01": Sentence("an Avro file: write it as JSON lines"),
    b"ORC": Sentence("an ORC file: write it as CSV"),
    b"7z\xbc\xaf": Sentence("a 7z archive: unpack it"),
    b"Rar!": Sentence("a rar archive: unpack it"),
}
_SEP_LINE: Final = re.compile(r'\ufeff?"?sep=(.)"?\r?\n?$', re.IGNORECASE)
#: Python's codecs that are no encodings of files.
_NO_CHARSETS: Final = ("idna", "punycode", "undefined", "unicode_escape", "raw-unicode-escape", "utf-7")
#: Records of the sample that are looked at for the separator.
_LOOKED_AT: Final = 50


@dataclass(frozen=True)
class Given:
    """What the person says about the file; None: to be seen from its bytes."""

    encoding: str | None = None
    separator: str | None = None


@dataclass(frozen=True)
class Found:
    """What a file is. `skip` is the byte order mark's length, `sep_line` whether Excel's line `sep=;` comes first."""

    format: Format
    encoding: str = "utf-8"
    separator: str = ""
    skip: int = 0
    carriage_returns: bool = False
    sep_line: bool = False
    empty: bool = False

    def words(self) -> Sentence:
        """For a person: `CSV with semicolons, utf-16-le, lines end in CR`."""
        between = _BETWEEN.get(self.separator, self.separator)
        said = _JSON.get(self.format) or Sentence("CSV with {between}", between=between)
        if self.encoding != "utf-8":
            said = Sentence("{file}, {encoding}", file=said, encoding=self.encoding)
        return Sentence("{file}, lines end in CR", file=said) if self.carriage_returns else said


def detect(sample: bytes, name: str, given: Given, *, whole: bool) -> Found:
    """What a file with these first bytes is; `whole` if they are all of it. Raises UserError if it is no text."""
    encoding, skip = _encoding(sample, name, given)
    text = codecs.getincrementaldecoder(encoding)("replace").decode(sample[skip:], whole)
    if "\0" in text or _is_noise(text):
        raise UserError(
            "{name} is no text, neither JSON nor CSV: is it the right file, or does it need --encoding?", name=name
        )
    returns = "\r" in text and "\n" not in text
    if returns:
        text = text.replace("\r", "\n")
    start = text.lstrip()
    if start[:1] == "<":
        raise UserError("{name} begins like HTML or XML, not like JSON or CSV", name=name)
    if not start:
        return Found("JSON lines", encoding, "", skip, returns, empty=whole or not sample)
    form = _format(start, name, bool(given.separator), whole)
    if form != "CSV":
        return Found(form, encoding, "", skip, returns)
    first, _, _ = text.partition("\n")
    said = _SEP_LINE.match(first)
    separator = given.separator or (said[1] if said else _separator(start, whole))
    return Found("CSV", encoding, separator, skip, returns, sep_line=said is not None)


def text_encoding(name: str) -> str:
    """Python's name of an encoding. Raises UserError if there is none of that name."""
    try:
        found = codecs.lookup(name).name
        if found in _NO_CHARSETS or "a,1".encode(found).decode(found) != "a,1":
            raise LookupError
        # What is written in the smaller set reads the same in the larger one, and people rarely know which it is.
        return {"gbk": "gb18030", "gb2312": "gb18030", "ascii": "utf-8", "utf-8-sig": "utf-8"}.get(found, found)
    except (LookupError, ValueError):
        raise UserError(
            "--encoding {name} is not known: write utf-8, utf-16, latin-1, cp1252, gbk, shift_jis or the like",
            name=repr(name),
        ) from None


def separator_of(text: str) -> str:
    """The separator that `--separator` names: one character, or `tab`. Raises UserError."""
    found = {"tab": "\t", "\\t": "\t"}.get(text, text)
    if len(found) != 1 or found in '"\r\n\0':
        raise UserError("--separator {text}: give one character, or tab", text=repr(text))
    return found


def readings(raw: bytes) -> Sentence | None:
    """What bytes that are no UTF-8 would read in the usual encodings, for somebody who has to choose."""
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError as exc:
        # The word around the byte: enough to see which of them makes sense.
        start = max(raw.rfind(stop, 0, exc.start) for stop in b',;\t|":{ ') + 1
        start = max(start, exc.start - 20)
        piece = raw[start : exc.start + 16]
        piece = re.split(rb'[,;\t|"}\r\n]', piece, maxsplit=1)[0]
    else:
        return None
    found: Sentence | None = None
    for encoding in USUAL_ENCODINGS:
        try:
            text = piece.decode(encoding)
        except UnicodeDecodeError:
            continue
        if text.isprintable():
            one = Sentence("{text} in {encoding}", text=repr(text), encoding=encoding)
            found = one if found is None else Sentence("{one} or {another}", one=found, another=one)
    return found


def _encoding(sample: bytes, name: str, given: Given) -> tuple[str, int]:
    """The encoding, and the length of the byte order mark."""
    for mark, encoding in _BOMS:
        if sample.startswith(mark):
            if given.encoding not in (None, encoding, encoding[:-3]):
                raise UserError(
                    "{name} has the byte order mark of {found}, not of {given}",
                    name=name,
                    found=encoding,
                    given=given.encoding,
                )
            return encoding, len(mark)
    if given.encoding in ("utf-16", "utf-32"):
        order = _order(sample) or "-le"
        return given.encoding + order[-3:], 0
    if given.encoding:
        return given.encoding, 0
    for magic, words in _NOT_TEXT.items():
        if sample.startswith(magic):
            raise UserError("{name} is {what}", name=name, what=words)
    if b"\0" in sample:
        found = _order(sample)
        if found is None:
            raise UserError("{name} is a binary file, neither JSON nor CSV", name=name)
        return found, 0
    return "utf-8", 0


def _order(sample: bytes) -> str | None:
    """UTF-16 or UTF-32 without a mark: keys, ids and times are ASCII, so most of the other bytes are zero."""
    sample = sample[:4096]
    size = len(sample) // 4
    zeros = [sample[k : 4 * size : 4].count(0) / size if size else 0.0 for k in range(4)]
    shape = "".join("0" if share > 0.6 else "x" for share in zeros)
    return {"x0x0": "utf-16-le", "0x0x": "utf-16-be", "x000": "utf-32-le", "000x": "utf-32-be"}.get(shape)


def _is_noise(text: str) -> bool:
    """Whether it is binary data without zeros: text has hardly any control characters."""
    head = text[:4096]
    controls = sum(1 for c in head if c < " " and c not in "\t\n\r\x0b\x0c\x1b\x1a\x1c\x1d\x1e\x1f")
    return controls > 8 and controls > len(head) // 20


def _format(start: str, name: str, separated: bool, whole: bool) -> Format:
    if separated:
        return "CSV"
    first, _, rest = start.partition("\n")
    if start[0] == "[":
        after = start[1:].lstrip()
        return "JSON array" if after[:1] in ("{", "]", "") else "JSON lines"
    if start[0] == "{":
        if _is_json(first) or not rest:
            return "JSON lines"
        try:
            _, end = json.JSONDecoder().raw_decode(start)
        except (ValueError, RecursionError):
            # Indented, and longer than what is looked at? Then no line is a value.
            return "JSON documents" if first.strip() == "{" and not whole else "JSON lines"
        return "JSON documents" if "\n" in start[:end] else "JSON lines"
    stem = name.lower()
    for packed in (".gz", ".zip", ".zst", ".bz2", ".xz"):
        stem = stem.removesuffix(packed)
    if stem.endswith((".jsonl", ".ndjson", ".json")):
        return "JSON lines"
    lines = [line for line in start.split("\n")[:_LOOKED_AT] if line.strip()]
    objects = sum(line.lstrip()[:1] == "{" for line in lines)
    return "JSON lines" if objects * 2 > len(lines) else "CSV"


def _is_json(line: str) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def _separator(text: str, whole: bool) -> str:
    """The one that cuts the header into most cells, and the rows into as many."""
    lines = [line + "\n" for line in text.split("\n")]
    if not whole and len(lines) > 1:
        lines.pop()  # it may be cut
    best, best_rank = ",", (0.0, 0)
    for separator in SEPARATORS:
        rows = _cells(lines, separator)
        header = rows[0] if rows else 0
        if header < 2:
            continue
        alike = sum(count == header for count in rows) / len(rows)
        rank = (float(alike > 0.5), header)
        if rank > best_rank:
            best, best_rank = separator, rank
    return best


def _cells(lines: list[str], separator: str) -> list[int]:
    """Cells of the first records."""
    counts: list[int] = []
    try:
        for cells in csv.reader(lines, delimiter=separator, strict=True):
            if cells:
                counts.append(len(cells))
            if len(counts) > _LOOKED_AT:
                break
    except csv.Error:
        pass
    return counts
