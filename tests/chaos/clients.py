"""Apps that send to the front door: what was acknowledged is remembered, what was not is sent again or given up."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Callable
from typing import Any, Final

import aiohttp

from pipeline.simulate import Population
from schemas.plan import Plan

from .people import with_people

_CLIENTS: Final = 8
_MOST_EVENTS: Final = 4
_TICK_SECONDS: Final = 0.02


class Clients:
    """Send simulated events of `plan` until told to stop. `where` gives the door's address and key of the moment."""

    def __init__(self, plan: Plan, where: Callable[[], tuple[str, str]], *, seed: int, rate: float) -> None:
        self._plan, self._where, self._seed, self._rate = plan, where, seed, rate
        self._stopping = asyncio.Event()
        #: By id: what was answered with 2xx.
        self.acknowledged: dict[str, dict[str, Any]] = {}
        #: Those that nobody has answered: they may be there, and need not.
        self.open: set[str] = set()
        self.refused: list[str] = []
        self.attempts = 0

    def stop(self) -> None:
        """End `run` soon."""
        self._stopping.set()

    async def run(self) -> None:
        """Send by the clock until `stop`."""
        queue: asyncio.Queue[list[dict[str, Any]] | None] = asyncio.Queue(maxsize=2_000)
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=15)) as session:
            clients = [asyncio.create_task(self._client(session, queue, n)) for n in range(_CLIENTS)]
            try:
                await self._feed(queue)
                for _ in clients:
                    await queue.put(None)
                await asyncio.gather(*clients)
            finally:
                for client in clients:
                    client.cancel()

    async def _feed(self, queue: asyncio.Queue[list[dict[str, Any]] | None]) -> None:
        population = Population(self._seed, start_ms=int(time.time() * 1000), rate=self._rate, users=300)
        events = with_people(population.events(), self._seed)
        rng, request = random.Random(self._seed), []
        for sent in events:
            while sent.at > time.time() * 1000 and not self._stopping.is_set():
                await asyncio.sleep(_TICK_SECONDS)
            if self._stopping.is_set():
                return
            request.append(json.loads(sent.value or b""))
            if len(request) >= rng.randint(1, _MOST_EVENTS):
                await queue.put(request)
                request = []

    async def _client(self, session: aiohttp.ClientSession, queue: asyncio.Queue[Any], number: int) -> None:
        rng = random.Random(f"{self._seed}:{number}")
        while (request := await queue.get()) is not None:
            ids = {event["event_id"] for event in request}
            # Some apps are closed before they have an answer.
            tries = rng.randint(1, 3) if rng.random() < 0.05 else 1_000
            self.open |= ids
            for _ in range(tries):
                if await self._taken(session, request):
                    self.open -= ids
                    self.acknowledged |= {event["event_id"]: event for event in request}
                    break
                await asyncio.sleep(0.1 + rng.random() * 0.4)

    async def _taken(self, session: aiohttp.ClientSession, request: list[dict[str, Any]]) -> bool:
        url, key = self._where()
        self.attempts += 1
        try:
            async with session.post(url, json=request, headers={"Authorization": f"Bearer {key}"}) as answer:
                said = await answer.text()
                if answer.status in (503, 429):
                    return False
                if answer.status != 200:
                    self.refused.append(f"{answer.status} {said[:300]}")
                return True
        except (aiohttp.ClientError, TimeoutError, OSError):
            return False
