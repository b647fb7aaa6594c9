"""Server-sent events: one way to send them, to so many listeners and no more.

A listener that reads slowly misses news rather than making them wait: each gets the newest when it is ready. One that
reads nothing at all is let go.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from typing import Any, Final

from aiohttp import web

from pipeline.process import cancelled
from pipeline.serve.guard import STALLED_SECONDS

MAX_LISTENERS: Final = 100
_HEADERS: Final = {"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}


class EventStream:
    """Sends events to whoever listens, to at most `limit` at a time."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._closing = asyncio.Event()
        #: How many listen now.
        self.listeners = 0

    async def answer(
        self, request: web.Request, events: AsyncGenerator[str, None], headers: Mapping[str, str] | None = None
    ) -> web.StreamResponse:
        """Send `events`, texts of whole events, until they end, the listener goes, or `close`; `events` is closed then.

        503 if there are too many listeners already.
        """
        async with aclosing(events):
            if self.listeners >= self._limit:
                return web.Response(status=503, text=f"{self._limit} listeners are the most\n")
            self.listeners += 1
            try:
                return await self._send(request, events, headers or {})
            finally:
                self.listeners -= 1

    async def _send(
        self, request: web.Request, events: AsyncGenerator[str, None], headers: Mapping[str, str]
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={**_HEADERS, **headers})
        await response.prepare(request)
        closing = asyncio.ensure_future(self._closing.wait())
        try:
            while (text := await _next(events, closing)) is not None:
                await asyncio.wait_for(response.write(text.encode()), STALLED_SECONDS)
        except ConnectionError:
            pass  # the listener has gone
        except TimeoutError:
            if request.transport is not None:
                request.transport.abort()
        finally:
            closing.cancel()
        return response

    def close(self) -> None:
        """Let every listener go."""
        self._closing.set()


async def _next(events: AsyncGenerator[str, None], closing: asyncio.Future[Any]) -> str | None:
    """The next event; None if there is none any more or the server is closing."""
    event = asyncio.ensure_future(anext(events, None))
    try:
        await asyncio.wait((event, closing), return_when=asyncio.FIRST_COMPLETED)
        return event.result() if event.done() else None
    finally:
        if not event.done():
            await cancelled(event)


class Feed:
    """What `source` says as events of the kind `live`: worked out every `interval` seconds for all listeners together,
    and not for nobody."""

    def __init__(self, source: Callable[[], Any], interval: float = 1.0) -> None:
        self._source, self._interval = source, interval
        self._stream = EventStream(MAX_LISTENERS)
        self._task: asyncio.Task[None] | None = None
        self._newest: tuple[int, str] = (0, "")
        self._changed = asyncio.Condition()

    async def page(self, request: web.Request) -> web.StreamResponse:
        """Answer a listener until it goes, or the server ends."""
        return await self._stream.answer(request, self._events())

    async def _events(self) -> AsyncGenerator[str, None]:
        if self._task is None:
            self._task = asyncio.create_task(self._work(), name="live-feed")
        seen = self._newest[0]
        try:
            while True:
                async with self._changed:
                    await self._changed.wait_for(lambda: self._newest[0] != seen)  # noqa: B023
                seen, text = self._newest
                yield text
        finally:
            if not self._stream.listeners and self._task is not None:
                self._task.cancel()
                self._task = None

    async def _work(self) -> None:
        while True:
            number = self._newest[0] + 1
            data = json.dumps(self._source(), separators=(",", ":"))
            self._newest = (number, f"id: {number}\nevent: live\ndata: {data}\n\n")
            async with self._changed:
                self._changed.notify_all()
            await asyncio.sleep(self._interval)

    async def close(self) -> None:
        """Let every listener go."""
        self._stream.close()
        task, self._task = self._task, None
        if task is not None:
            await cancelled(task)
