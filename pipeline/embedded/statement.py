"""Where a ClickHouse statement ends and its data begins.

A ClickHouse server accepts an INSERT and its rows in one request body: ``INSERT INTO t FORMAT
Native\\n<bytes>``. The embedded engine takes the two apart, and it needs the output format of a query before
it runs. Both are found here with a tokenizer that knows strings, quoted names, comments and brackets, and
that never looks into the data. No I/O.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass

_TOKEN = re.compile(
    rb"""
      (?P<skip>\s+|--[^\n]*|\#[\x20!][^\n]*|/\*.*?\*/)
    | (?P<quoted>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|`(?:[^`\\]|\\.)*`|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$)
    | (?P<word>[A-Za-z_]\w*)
    | (?P<number>\d[\w.]*)
    | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
# A name may be a keyword ("INSERT INTO format ..."), so the word after one of these is a name.
_NAME_FOLLOWS = frozenset({b"INTO", b"TABLE", b"FUNCTION", b"."})
_READING = frozenset({b"", b"SELECT", b"WITH", b"FROM", b"SHOW", b"DESCRIBE", b"DESC", b"EXPLAIN", b"EXISTS"})
_STREAMING = frozenset({b"SELECT", b"WITH"})


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of a request, without its data."""

    text: bytes
    """What to execute. For an INSERT with data: without ``FORMAT ...``, ``VALUES`` and the data."""
    format: str | None
    """The format named in the statement: of the result, or of the data of an INSERT."""
    data_at: int | None
    """Where the data of an INSERT begins in the bytes that were parsed; None if it takes none."""
    reads: bool
    """True if the statement can only read."""
    streams: bool
    """True if the result may be fetched block by block."""
    input_at: tuple[int, int] | None = None
    """For ``INSERT ... SELECT ... FROM input('...')``: where ``input(`` begins and ends in `text`."""
    structure_at: tuple[int, int] | None = None
    """And where the literal begins and ends that is its argument."""
    settings_at: int | None = None
    """Of an INSERT with data: where its SETTINGS begin in `text`."""


@dataclass(frozen=True, slots=True)
class _Token:
    word: bytes  # upper case, for comparison; b"." and the like for punctuation, b"'" for anything quoted
    start: int
    end: int
    depth: int


def _tokens(query: bytes) -> Iterator[_Token]:
    depth = 0
    for match in _TOKEN.finditer(query):
        kind = match.lastgroup
        if kind == "skip":
            continue
        if kind in ("quoted", "tag"):
            yield _Token(b"'", match.start(), match.end(), depth)
            continue
        raw = match.group()
        if raw in (b")", b"]", b"}"):
            depth -= 1
        yield _Token(raw.upper(), match.start(), match.end(), depth)
        if raw in (b"(", b"[", b"{"):
            depth += 1


def parse_statement(query: bytes) -> Statement:
    """Take the statement at the beginning of `query` apart.

    Never raises: what is not understood is handed to the engine as it is, and the engine says what is wrong.
    """
    tokens = _tokens(query)
    first = next((t for t in tokens if t.word != b"("), None)
    word = first.word if first else b""
    if word == b"INSERT":
        return _parse_insert(query, tokens)
    named = _output_format(query) if b"format" in query.lower() else None
    return Statement(query, named, None, reads=word in _READING, streams=word in _STREAMING)


def _output_format(query: bytes) -> str | None:
    """The name after the last FORMAT outside of brackets."""
    found: str | None = None
    before = b""
    for token in _tokens(query):
        if before == b"FORMAT" and token.depth == 0 and token.word[:1].isalpha():
            found = query[token.start : token.end].decode()
        before = token.word if token.depth == 0 else b""
    return found


def _parse_insert(query: bytes, tokens: Iterator[_Token]) -> Statement:
    before = _Token(b"INSERT", 0, 0, 0)
    earlier = before
    selects = False
    input_at: tuple[int, int] | None = None
    structure_at: tuple[int, int] | None = None
    settings_at: int | None = None
    for token in tokens:
        named = earlier.word in _NAME_FOLLOWS  # then `before` is a name, whatever it looks like
        if token.depth == 0 and before.word == b"FORMAT" and before.depth == 0 and not named:
            if selects and input_at is None:
                break  # rows come from the query alone
            text = query[: before.start].rstrip()
            name = query[token.start : token.end].decode(errors="replace")
            start = _data_start(query, token.end)
            return Statement(text, name, start, False, False, input_at, structure_at, settings_at)
        if token.word == b"VALUES" and token.depth == 0 and before.word not in _NAME_FOLLOWS and not selects:
            text = query[: token.start].rstrip()
            return Statement(text, "Values", token.end, False, False, settings_at=settings_at)
        if token.word == b"SETTINGS" and token.depth == 0 and before.word not in _NAME_FOLLOWS and not selects:
            settings_at = token.start
        if token.word in (b"SELECT", b"WITH") and before.word not in _NAME_FOLLOWS:
            selects = True
        if selects and before.word == b"INPUT" and token.word == b"(" and input_at is None:
            input_at = (before.start, token.end)
        elif input_at is not None and before.end == input_at[1] and token.word == b"'":
            structure_at = (token.start, token.end)
        earlier, before = before, token
    return Statement(query, None, None, reads=False, streams=False)


def _data_start(query: bytes, at: int) -> int:
    """Data begins after the blanks that follow the format's name and after one line end, as in ClickHouse."""
    while query[at : at + 1] in (b" ", b"\t", b"\f"):
        at += 1
    if query[at : at + 1] == b"\r":
        at += 1
    if query[at : at + 1] == b"\n":
        at += 1
    return at


def reaches_files(canonical: bytes) -> str | None:
    """What of a statement would reach files or other machines though its grants allow it; None: nothing.

    `canonical` is the statement as ClickHouse's own parser writes it down: no comments, one spelling of everything.
    """
    words = [token.word for token in _tokens(canonical)]
    pairs = set(itertools.pairwise(words))
    threes = set(zip(words, words[1:], words[2:], strict=False))
    for first, second in ((b"INTO", b"OUTFILE"), (b"FROM", b"INFILE")):
        # Else it is a table of that name.
        if threes & {(first, second, b"'"), (first, second, b"{")}:
            return f"{first.decode()} {second.decode()}"
    engines = {third for first, second, third in threes if (first, second) == (b"ENGINE", b"=")}
    if (b"DISK", b"(") in pairs:
        return "a disk of its own"
    if b"EMBEDDEDROCKSDB" in engines:
        return "the engine EmbeddedRocksDB"
    if pairs & {(b"CREATE", b"DATABASE"), (b"ATTACH", b"DATABASE")} and engines - {b"ATOMIC", b"MEMORY"}:
        return "a database of another engine than Atomic or Memory"
    return None
