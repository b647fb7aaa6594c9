"""Columns in ClickHouse's Native format, which takes them as they are: column after column, each value in its bytes.

A step in Python for each value would cost more than all the rest of storing it. So texts are joined at once, with an
end of line before each, and the lengths are written over these; numbers are arrays already.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import count
from typing import Any, Final

import numpy as np

#: Types of ClickHouse that are whole numbers, as they come here.
_NUMBERS: Final = {
    "Bool": np.uint8,
    "UInt16": np.uint16,
    "UInt32": np.uint32,
    "UInt64": np.uint64,
    "Int64": np.int64,
    "Decimal(18, 6)": np.int64,  # 10^-6
    "DateTime64(3, 'UTC')": np.int64,  # epoch ms
}
_END: Final = b"\n"
_ENDS: Final = ord(_END)
#: The version of LowCardinality's serialization, and that a column brings its own values.
_KEYS_VERSION: Final = (1).to_bytes(8, "little")
_OWN_VALUES: Final = 1 << 9 | 1 << 10
#: By the number of different values that it can tell apart: the type of the places, and its number in the format.
_PLACES: Final = ((1 << 8, np.uint8, 0), (1 << 16, np.uint16, 1), (1 << 32, np.uint32, 2))


def columns_of(names: Sequence[str], types: Sequence[str], columns: Sequence[Sequence[Any]]) -> bytes:
    """The columns of a block, each with its name and type (`Native` reads them behind `header`).

    A type is `String` (of str or bytes), `LowCardinality(String)`, or one of whole numbers. There must be one row at
    least.
    """
    found = []
    for name, kind, column in zip(names, types, columns, strict=True):
        found += [_text(name.encode()), _text(kind.encode())]
        if kind == "String":
            found.append(texts(column))
        elif kind == "LowCardinality(String)":
            found.append(_low_cardinality(column))
        else:
            found.append(np.asarray(column, _NUMBERS[kind]).tobytes())
    return b"".join(found)


def header(columns: int, rows: int) -> bytes:
    """What stands before the columns of a block."""
    return _length(columns) + _length(rows)


def texts(column: Sequence[str] | Sequence[bytes]) -> bytes:
    """Texts, each behind its length in bytes."""
    if not column[0] and not any(column):
        return bytes(len(column))
    separated: Any = column
    joined = _END + _END.join(separated) if isinstance(column[0], bytes) else ("\n" + "\n".join(separated)).encode()
    data = np.frombuffer(joined, np.uint8)
    at = np.flatnonzero(data == _ENDS)
    if len(at) != len(column):
        # Ends of lines in a text, too.
        return b"".join([_text(one if isinstance(one, bytes) else one.encode()) for one in column])
    lengths = np.diff(at, append=len(data)) - 1
    size = len(_length(int(lengths.max())))
    if size > 1:
        # A length may be written with more bytes than it needs.
        joined = joined.replace(_END, _END * size)
        at += np.arange(len(at)) * (size - 1)
    data = np.frombuffer(bytearray(joined), np.uint8)
    for byte in range(size):
        data[at + byte] = lengths >> 7 * byte & 127 | (128 if byte < size - 1 else 0)
    return data.tobytes()


def _low_cardinality(column: Sequence[str]) -> bytes:
    n = len(column)
    if column.count(column[0]) == n:
        values, places = [column[0]], np.zeros(n, np.uint8)
    else:
        known: defaultdict[str, int] = defaultdict(count().__next__)
        places = np.fromiter(map(known.__getitem__, column), np.uint32, n)
        values = list(known)
    kind, number = next((kind, number) for most, kind, number in _PLACES if len(values) <= most)
    numbers = [_OWN_VALUES | number, len(values)]
    parts = [_KEYS_VERSION, *[one.to_bytes(8, "little") for one in numbers], texts(values), n.to_bytes(8, "little")]
    return b"".join([*parts, places.astype(kind).tobytes()])


def _text(data: bytes) -> bytes:
    return _length(len(data)) + data


def _length(number: int) -> bytes:
    """A number in 7 bits a byte, the lowest first (LEB128)."""
    found = bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    found.append(number)
    return bytes(found)
