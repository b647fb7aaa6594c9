"""What is printed for people and programs: text of strangers can't command a terminal, JSON is one document.

Events are data of anybody: an escape sequence in a name could colour the screen, set its title or fill the clipboard,
and a line break could fake a line of ours. So everything that is printed goes through here.
"""

from __future__ import annotations

import codecs
import json
import logging
import re
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final, TextIO

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

#: Controls (C0, DEL, C1), what turns the direction of writing or can't be seen, line ends of Unicode, halves of
#: characters.
_COMMANDS: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\ud800-\udfff]"
)
#: What we draw with, where the terminal has only ASCII.
_ASCII: Final = {"█": "#", "·": ".", "→": "->", "←": "<-", "–": "-", "—": "-", "…": "...", "≥": ">=", "≤": "<=",
                 "−": "-", "×": "x", "µ": "u", "│": "|", "─": "-"}  # fmt: skip
#: A pipe has no width: who reads it should get whole lines.
_WIDTH_OF_A_PIPE: Final = 1000


def plain(text: object) -> str:
    """Text without any power over a terminal, in one line: what commands it is shown as Python writes it (`\\x1b`)."""
    return _COMMANDS.sub(_escaped, str(text))


def cell(value: object, style: str = "") -> Text:
    """Text of a table: never read as markup."""
    return Text(plain(value), style=style)


def padded(text: str, width: int) -> str:
    """A text with spaces up to a width of the terminal, where letters of Chinese are two columns wide."""
    return text + " " * max(0, width - cell_len(text))


def say(text: object, *, file: TextIO | None = None, flush: bool = False) -> None:
    """Print one line."""
    print(plain(text), file=file, flush=flush)


def say_lines(lines: Iterable[object], *, file: TextIO | None = None) -> None:
    """Print several."""
    for line in lines:
        say(line, file=file, flush=True)


def print_json(document: Any) -> None:
    """Print one JSON document in one line, whatever the terminal can show."""
    print(json_text(document))


def json_text(document: Any, indent: int | None = None) -> str:
    """A JSON document that standard output can show: letters as they are where it can, else escaped."""
    utf8 = (getattr(sys.stdout, "encoding", None) or "").lower().replace("-", "") == "utf8"
    text = json.dumps(document, ensure_ascii=not utf8, indent=indent, default=str)
    # Controls are escaped by JSON itself, but for these; and half a character can't be written at all.
    return re.sub("[\x7f-\x9f\ud800-\udfff]", lambda found: f"\\u{ord(found[0]):04x}", text)


def console(*, stderr: bool = False) -> Console:
    """A console that takes text as it is: no markup, no emoji codes, no colours by guess."""
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else _WIDTH_OF_A_PIPE
    return Console(stderr=stderr, markup=False, emoji=False, highlight=False, width=width)


class PlainFormatter(logging.Formatter):
    """Log lines whose messages hold no commands; a traceback keeps its lines."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """The line of a record."""
        record.message = plain(record.message)
        return super().formatMessage(record)


class JsonFormatter(logging.Formatter):
    """A log record as one line of JSON, all ASCII: whatever a stranger has sent begins no line and colours nothing."""

    def format(self, record: logging.LogRecord) -> str:
        """The line: time (UTC), level, logger, message; for an error its traceback."""
        moment = datetime.fromtimestamp(record.created, UTC)
        line = {
            "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        if record.stack_info:
            line["stack"] = record.stack_info
        return json.dumps(line)


def make_streams_safe(streams: Iterable[Any] | None = None) -> None:
    """Where a stream can't show a letter, it shows something: never a UnicodeEncodeError in the middle of a command."""
    codecs.register_error("streamgauge", _shown)
    for stream in (sys.stdout, sys.stderr) if streams is None else streams:
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="streamgauge")


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode() if found[0] < "\ud800" or found[0] > "\udfff" else (
        f"\\u{ord(found[0]):04x}"
    )  # fmt: skip


def _shown(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    found = "".join(_ASCII.get(c) or c.encode("ascii", "backslashreplace").decode() for c in text)
    return found, error.end
