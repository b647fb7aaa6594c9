"""Compression of HTTP bodies within bounds: gzip, deflate, zstd, and lz4 (frames), which ClickHouse speaks besides."""

from __future__ import annotations

import sys
import zlib
from typing import Any, Protocol

import lz4.frame  # type: ignore[import-untyped]

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

# Cheapest first: client and server share the machine's processors.
CODINGS = ("lz4", "zstd", "gzip", "deflate")
_SLICE = 1 << 20


class CodingError(ValueError):
    """A body can't be decompressed: unknown coding, damaged data, or larger than allowed."""


class TooLargeError(CodingError):
    """A body is larger, decompressed, than the limit."""


class Encoder(Protocol):
    """Compresses a body piece by piece."""

    def compress(self, data: bytes, /) -> bytes:
        """Compress one piece; may hold bytes back."""

    def flush(self) -> bytes:
        """End the body."""


class _Lz4Encoder:
    def __init__(self) -> None:
        self._frame = lz4.frame.LZ4FrameCompressor()
        self._head: bytes = self._frame.begin()

    def compress(self, data: bytes, /) -> bytes:
        head, self._head = self._head, b""
        return head + bytes(self._frame.compress(data))

    def flush(self) -> bytes:
        head, self._head = self._head, b""
        return head + bytes(self._frame.flush())


def encoder(coding: str) -> Encoder:
    """A fresh encoder for one of `CODINGS`."""
    if coding == "lz4":
        return _Lz4Encoder()
    if coding == "zstd":
        made: Encoder = zstd.ZstdCompressor(level=1)
        return made
    return zlib.compressobj(level=1, wbits=31 if coding == "gzip" else 15)


def choose(accept_encoding: str) -> str | None:
    """The coding for a response, from the request's Accept-Encoding header. None: send it as it is."""
    parts = [part.split(";") for part in accept_encoding.lower().split(",")]
    accepted = {name.strip() for name, *weight in parts if "q=0" not in "".join(weight).split()}
    return next((coding for coding in CODINGS if coding in accepted), None)


def _decoder(coding: str) -> Any:
    if coding == "lz4":
        return lz4.frame.LZ4FrameDecompressor()
    if coding == "zstd":
        return zstd.ZstdDecompressor()
    return zlib.decompressobj(wbits=47)  # reads the header: gzip or zlib


def decode(body: bytes, coding: str, limit: int) -> bytes:
    """Decompress a whole body, which may be several frames one after the other (one a block, as clients
    send).

    Never makes more than `limit` bytes. Raises `TooLargeError` beyond it, `CodingError` for damaged data.
    """
    if coding not in CODINGS:
        raise CodingError(f"content coding {coding!r} is not supported: use one of {', '.join(CODINGS)}")
    out: list[bytes] = []
    total = 0
    decoder = _decoder(coding)
    view = memoryview(body)
    # Slices keep the rest behind each frame's end, which is copied, small.
    for start in range(0, len(body), _SLICE):
        piece: bytes | memoryview = view[start : start + _SLICE]
        while len(piece):
            if decoder.eof:
                decoder = _decoder(coding)
            try:
                # One byte more than there is room for: a positive bound (0 means none) that shows the excess.
                made = decoder.decompress(piece, limit - total + 1)
            except (zlib.error, zstd.ZstdError, RuntimeError, EOFError) as error:
                raise CodingError(f"the body is not valid {coding}: {error}") from error
            total += len(made)
            if total > limit:
                raise TooLargeError(f"the body is larger than {limit} bytes when decompressed")
            out.append(made)
            piece = decoder.unused_data or b""
    if body and not decoder.eof:
        raise CodingError(f"the body ends in the middle of its {coding} data")
    return out[0] if len(out) == 1 else b"".join(out)
