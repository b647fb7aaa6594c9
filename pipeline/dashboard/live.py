"""One reading of the workers for all browsers: who is asked, what they said last, and the last hour of it."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import aiohttp

from pipeline.serve.answers import LIVE, LiveAnswer
from pipeline.serve.merge import merge
from schemas.duration import HOUR

log = logging.getLogger(__name__)

#: Seconds between readings while somebody looks, and while nobody does (the curve goes on).
WATCHED_SECONDS: Final = 1.0
IDLE_SECONDS: Final = 5.0
#: A worker that has not answered for longer is said to be away.
AWAY_SECONDS: Final = 5.0
_KEPT_MS: Final = HOUR
_TIMEOUT: Final = aiohttp.ClientTimeout(total=4)


@dataclass(frozen=True)
class Sample:
    """The records seen so far, at a time (epoch ms)."""

    at: int
    records: int


class LiveReader:
    """Reads `/live` of the workers; `numbers` is the last reading of all of them, None before the first."""

    def __init__(self, urls: Sequence[str], clock: Callable[[], float] = time.time) -> None:
        self._urls, self._clock = tuple(urls), clock
        self._session: aiohttp.ClientSession | None = None
        self._changed = asyncio.Condition()
        self.numbers: LiveAnswer | None = None
        #: Epoch seconds of the last good reading.
        self.read_at = 0.0
        #: Addresses that did not answer the last time, with the reason.
        self.failing: dict[str, str] = {}
        self.samples: deque[Sample] = deque()
        self.readings = 0
        self._watchers = 0
        self._watched = asyncio.Event()

    @property
    def away(self) -> bool:
        """Whether what is shown is no longer live."""
        return self._clock() - self.read_at > AWAY_SECONDS

    async def run(self) -> None:
        """Read until cancelled."""
        async with aiohttp.ClientSession(timeout=_TIMEOUT) as self._session:
            while True:
                began = time.monotonic()
                await self.read()
                wait = (WATCHED_SECONDS if self._watchers else IDLE_SECONDS) - (time.monotonic() - began)
                if wait > 0 and self._watchers:
                    await asyncio.sleep(wait)
                elif wait > 0:
                    # Whoever opens a page while nobody else looked does not wait for the slow pace.
                    self._watched.clear()
                    await _wait(self._watched, wait)

    async def read(self) -> None:
        """One reading of every worker."""
        addresses = [one for url in self._urls for one in await _each_address(url)]
        answers = await asyncio.gather(*(self._ask(url) for url in addresses))
        found = [answer for answer in answers if answer is not None]
        async with self._changed:
            if found:
                self.numbers = merge(found)
                self.read_at = self._clock()
                self._sample(self.numbers)
            self.readings += 1
            self._changed.notify_all()

    async def changes(self, seen: int) -> int:
        """Wait for a reading later than the number `seen`, and return its number."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.readings > seen)
            return self.readings

    def watch(self, by: int) -> None:
        """Somebody opened (1) or closed (-1) a page with live figures."""
        self._watchers += by
        if by > 0:
            self._watched.set()

    def rate(self, span_ms: int = 5_000) -> float | None:
        """Records a second over the last `span_ms`; None before there are two readings."""
        if len(self.samples) < 2:
            return None
        last = self.samples[-1]
        first = next(s for s in self.samples if s.at >= last.at - span_ms - 1500)
        if first.at == last.at:
            first = self.samples[-2]
        return max(0, last.records - first.records) * 1000 / max(1, last.at - first.at)

    def _sample(self, numbers: LiveAnswer) -> None:
        records = sum(numbers["totals"].values())
        if self.samples and records < self.samples[-1].records:
            self.samples.clear()  # a worker went or came: what it had counted is not a rate
        self.samples.append(Sample(numbers["time"], records))
        while self.samples[0].at < numbers["time"] - _KEPT_MS:
            self.samples.popleft()

    async def _ask(self, url: str) -> LiveAnswer | None:
        assert self._session is not None
        try:
            async with self._session.get(f"{url}/live") as response:
                answer = LIVE.validate_json(await response.read())
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as exc:
            self.failing[url] = type(exc).__name__
            return None
        self.failing.pop(url, None)
        return answer


def rates(samples: Sequence[Sample], until: int, step_ms: int, places: int) -> list[float | None]:
    """Records a second in each of `places` spans of `step_ms` that end at `until`; None where nothing was read."""
    start = until - step_ms * places
    found: list[float | None] = [None] * places
    gained, covered = [0.0] * places, [0] * places
    for before, after in zip(samples, list(samples)[1:], strict=False):
        place = (after.at - 1 - start) // step_ms
        if 0 <= place < places and after.at > before.at:
            gained[place] += after.records - before.records
            covered[place] += after.at - before.at
    for place in range(places):
        if covered[place]:
            found[place] = gained[place] * 1000 / covered[place]
    return found


async def _each_address(url: str) -> list[str]:
    """The url once for each address that its name has: a headless service has one for each worker."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if host in ("localhost", "") or host.replace(".", "").isdigit() or ":" in host:
        return [url]
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, parts.port, type=socket.SOCK_STREAM)
    except OSError:
        return [url]
    hosts = sorted({f"[{info[4][0]}]" if ":" in str(info[4][0]) else str(info[4][0]) for info in found})
    return [f"{parts.scheme}://{one}:{parts.port or 80}{parts.path}" for one in hosts]


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return
