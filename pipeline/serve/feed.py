"""The numbers as server-sent events: worked out once a second for all listeners together, and not for nobody.

A listener that reads slowly misses numbers rather than making them wait: each gets the newest when it is ready.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any, Final

from aiohttp import web

from pipeline.serve.guard import STALLED_SECONDS

MAX_LISTENERS: Final = 100


class Feed:
    """Sends what `source` says every `interval` seconds to whoever listens."""

    def __init__(self, source: Callable[[], Any], interval: float = 1.0) -> None:
        self._source, self._interval = source, interval
        self._listeners = 0
        self._task: asyncio.Task[None] | None = None
        self._newest: tuple[int, bytes] = (0, b"")
        self._changed = asyncio.Condition()
        self._closed = False

    async def page(self, request: web.Request) -> web.StreamResponse:
        """Answer a listener until it goes, or the server ends."""
        if self._listeners >= MAX_LISTENERS:
            raise web.HTTPServiceUnavailable(text=f"{MAX_LISTENERS} listeners are the most\n")
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        )
        await response.prepare(request)
        self._listeners += 1
        if self._task is None:
            self._task = asyncio.create_task(self._work(), name="live-feed")
        seen = self._newest[0]
        try:
            while not self._closed:
                async with self._changed:
                    await self._changed.wait_for(lambda: self._closed or self._newest[0] != seen)  # noqa: B023
                if not self._closed:
                    seen, text = self._newest
                    async with asyncio.timeout(STALLED_SECONDS):
                        await response.write(text)
        except (ConnectionResetError, TimeoutError):
            pass  # the listener has gone, or reads no more
        finally:
            self._listeners -= 1
            if self._listeners == 0 and self._task is not None:
                self._task.cancel()
                self._task = None
        return response

    async def _work(self) -> None:
        while True:
            number = self._newest[0] + 1
            data = json.dumps(self._source(), separators=(",", ":"))
            self._newest = (number, f"id: {number}\nevent: live\ndata: {data}\n\n".encode())
            async with self._changed:
                self._changed.notify_all()
            await asyncio.sleep(self._interval)

    async def close(self) -> None:
        """Let every listener go."""
        self._closed = True
        if self._task is not None:
            self._task.cancel()
            self._task = None
        async with self._changed:
            self._changed.notify_all()
