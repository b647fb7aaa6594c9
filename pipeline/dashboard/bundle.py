"""The JavaScript of Vega, for the page: bundled out of the package vl-convert, in a process of its own."""

from __future__ import annotations

import asyncio
import sys
from importlib.metadata import version
from typing import Final

#: Only what charts.js calls; as a module, so that no name of the bundle becomes a global one.
_MAKE: Final = """
import gzip, sys, vl_convert
made = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
sys.stdout.buffer.write(gzip.compress(made.encode(), 9, mtime=0))
"""
#: Part of the bundle's address, so that a browser asks again for that of another version.
VERSION: Final = version("vl-convert-python")


class Bundle:
    """Makes the bundle once, in the background: it takes seconds and about 100 MB, which end with the process."""

    def __init__(self) -> None:
        self._made: asyncio.Task[bytes] | None = None

    async def script(self) -> bytes:
        """The bundle, packed by gzip. Raises OSError where it can't be made; whoever asks next has it tried again."""
        self.begin()
        assert self._made is not None
        return await asyncio.shield(self._made)

    def begin(self) -> None:
        """Make it, unless that was done or is being done."""
        if self._made is None or (self._made.done() and (self._made.cancelled() or self._made.exception() is not None)):
            self._made = asyncio.create_task(_make(), name="bundle of Vega")

    async def stop(self) -> None:
        """End what is still being made."""
        if self._made is not None and not self._made.done():
            self._made.cancel()
            await asyncio.wait([self._made])


async def _make() -> bytes:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-c", _MAKE,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        made, said = await process.communicate()
    except asyncio.CancelledError:
        process.kill()
        await process.wait()
        raise
    if process.returncode:
        raise OSError(f"the library of the charts can't be made: {said.decode(errors='replace').strip()[-300:]}")
    return made
