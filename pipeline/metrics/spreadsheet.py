"""Text in CSV that a spreadsheet would take for a formula: values are words of strangers, `=HYPERLINK(…)` too."""

from __future__ import annotations

import re
from typing import Any, Final

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")
#: In what ClickHouse writes, text stands in quotes, and numbers do not: a quote after a comma or the end of a line that
#: is followed by such a character begins a text (within one, quotes are doubled).
_IN_CSV: Final = re.compile('(?:(?<=[,\n])|^)"(?:(?=[=+\\-@\t\r])|(?=＝|＋|－|＠))'.encode())


def harmless(value: Any) -> Any:
    """The value of a cell; a text that a spreadsheet would take for a formula begins with an apostrophe."""
    return "'" + value if isinstance(value, str) and value.startswith(_FORMULA) else value


def harmless_csv(data: bytes) -> bytes:
    """The same for a whole document that ClickHouse wrote as CSV."""
    return _IN_CSV.sub(b"\"'", data)
