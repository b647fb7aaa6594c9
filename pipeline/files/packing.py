"""The bytes of a file or of standard input, unpacked: gzip, zip, zstd, bzip2 and xz are known by their first bytes.

Everything is unpacked piece by piece, so memory stays bounded whatever the file holds, and a file that was made to
unpack without end is refused.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, Any, BinaryIO, Final

from pipeline.errors import UserError
from schemas.translatable import Foreign, Sentence

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

#: A file of events packs 5 to 50 times. Beyond these two bounds it is one that was made to fill a disk or a day.
MAX_RATIO: Final = 500
UNPACKED_FREELY: Final = 256 << 20
#: As much as `detect` looks at: a reader can look no further ahead than its buffer.
_BUFFER: Final = 1 << 18
_MAGIC: Final[dict[bytes, str]] = {
    b"\x1f\x8b": "gzip",
    b"PK\x03\x04": "zip",
    b"PK\x05\x06": "zip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
}
_OPEN: Final[dict[str, Callable[[BinaryIO], Any]]] = {
    "gzip": lambda stream: gzip.GzipFile(fileobj=stream, mode="rb"),
    "zstd": lambda stream: zstd.ZstdFile(stream, "rb"),
    "bzip2": lambda stream: bz2.BZ2File(stream, "rb"),
    "xz": lambda stream: lzma.LZMAFile(stream, "rb"),  # noqa: SIM115
}
_DAMAGED: Final = (EOFError, gzip.BadGzipFile, zlib.error, zipfile.BadZipFile, lzma.LZMAError, zstd.ZstdError)


def title(source: str) -> str:
    """The name of a file as a message says it."""
    return Sentence("standard input") if source == "-" else source


@contextmanager
def open_bytes(source: str) -> Iterator[tuple[io.BufferedReader[Any], str]]:
    """The unpacked bytes of a file or of standard input ("-"), and how it was packed ("" if it wasn't).

    Raises UserError, in one line, if it can't be read, is damaged, or unpacks beyond all reason.
    """
    try:
        # Standard input by a reader of our own: Python closes its own at exit, when a thread may wait in it.
        where = 0 if source == "-" else source
        raw = open(where, "rb", closefd=source != "-", buffering=0)  # noqa: SIM115
    except (OSError, ValueError) as exc:
        raise UserError(
            "{path} can't be read: {why}", path=source, why=Foreign(getattr(exc, "strerror", None) or exc)
        ) from None
    stream = io.BufferedReader(raw, _BUFFER)
    packing = ""
    try:
        head = stream.peek(6)[:6]
        packing = next((name for magic, name in _MAGIC.items() if head.startswith(magic)), "")
        if not packing:
            yield stream, ""
            return
        inner = _member(source, stream) if packing == "zip" else _OPEN[packing](stream)
        yield io.BufferedReader(_Bounded(inner, source, stream), _BUFFER), packing
    except _DAMAGED as exc:
        raise UserError(
            "{source} is a damaged {packing} file: {why}", source=title(source), packing=packing, why=exc
        ) from None
    except OSError as exc:
        # bz2 says so of damaged data.
        damaged = packing == "bzip2" and exc.errno is None
        if damaged:
            raise UserError(
                "{source} is a damaged {packing} file: {why}", source=title(source), packing=packing, why=exc
            ) from None
        raise UserError("{path} can't be read: {why}", path=title(source), why=Foreign(exc.strerror or exc)) from None
    finally:
        stream.close()


def _member(source: str, stream: BinaryIO) -> IO[bytes]:
    """The one file in a zip archive."""
    if source == "-":
        raise UserError("standard input is a zip archive, which can't be read in a stream: give the file's name")
    archive = zipfile.ZipFile(stream)
    # A Mac adds files of its own, whose names begin with a dot.
    names = [info for info in archive.infolist() if not info.is_dir() and "/." not in f"/{info.filename}"]
    if any(info.filename == "[Content_Types].xml" for info in names):
        raise UserError("{source} is an Office document: save the sheet as CSV", source=source)
    if len(names) != 1:
        some = ", ".join(ascii(info.filename)[1:-1] for info in names[:3])
        raise UserError(
            "{source} is a zip archive of {names} files ({some}): unpack it, and give one",
            source=source,
            names=len(names),
            some=some or "none",
        )
    try:
        return archive.open(names[0])
    except (RuntimeError, NotImplementedError) as exc:  # it wants a password, or is packed in a rare way
        raise UserError("{source} can't be unpacked: {why}", source=source, why=exc) from None


class _Bounded(io.RawIOBase):
    """What is unpacked, counted: ends in UserError where it outgrows the packed file beyond reason."""

    def __init__(self, inner: IO[bytes], source: str, packed: BinaryIO) -> None:
        self._inner, self._source, self._packed = inner, source, packed
        self._count = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._inner.read(len(buffer))
        buffer[: len(data)] = data
        self._count += len(data)
        if self._count > UNPACKED_FREELY and self._count > MAX_RATIO * max(1, self._position()):
            raise UserError(
                "{source} unpacks to more than {max_ratio} times its size: that is no file of events",
                source=title(self._source),
                max_ratio=MAX_RATIO,
            )
        return len(data)

    def _position(self) -> int:
        try:
            return self._packed.tell()
        except OSError:  # a pipe: nobody knows
            return self._count
