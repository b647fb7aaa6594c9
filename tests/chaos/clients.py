"""Apps that send to the front door: what was acknowledged is remembered, what was not is sent again or given up."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp

from pipeline.simulate import Population

from .people import with_people

_CLIENTS: Final = 8
_MOST_EVENTS: Final = 4
_TICK_SECONDS: Final = 0.02


@dataclass
class Known:
    """What apps know of the events that they have sent to one installation."""

    #: By id: what was answered with 2xx.
    acknowledged: dict[str, dict[str, Any]] = field(default_factory=dict)
    #: Those that nobody has answered: they may be there, and need not.
    open: set[str] = field(default_factory=set)
    #: Whether the door's clock may jump back: what was sent before is in its future then, and may be refused for that.
    jumping: bool = False
    #: Answers that should not have been.
    refused: list[str] = field(default_factory=list)


class Clients:
    """Send simulated events until told to stop, and note what is `known` of them.

    `where` are the door's address and key; `ahead` says by how many seconds the apps' clock is.
    """

    def __init__(
        self,
        known: Known,
        where: tuple[str, str],
        *,
        seed: int,
        rate: float,
        ahead: Callable[[], int] = lambda: 0,
    ) -> None:
        self._where, self._seed, self._rate, self._ahead = where, seed, rate, ahead
        self._stopping = asyncio.Event()
        self.known = known
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
            event = json.loads(sent.value or b"")
            request.append(event | {"ts": event["ts"] + 1000 * self._ahead()})
            if len(request) >= rng.randint(1, _MOST_EVENTS):
                await queue.put(request)
                request = []

    async def _client(self, session: aiohttp.ClientSession, queue: asyncio.Queue[Any], number: int) -> None:
        rng = random.Random(f"{self._seed}:{number}")
        while (request := await queue.get()) is not None:
            ids = {event["event_id"] for event in request}
            # Some apps are closed before they have an answer.
            tries = rng.randint(1, 3) if rng.random() < 0.05 else 1_000
            self.known.open |= ids
            for _ in range(tries):
                if (refused := await self._answered(session, request)) is not None:
                    # An earlier try of what is refused now may have been taken.
                    self.known.open -= ids - refused
                    self.known.acknowledged |= {e["event_id"]: e for e in request if e["event_id"] not in refused}
                    break
                await asyncio.sleep(0.1 + rng.random() * 0.4)

    async def _answered(self, session: aiohttp.ClientSession, request: list[dict[str, Any]]) -> set[str] | None:
        """The ids of events that are refused; None if there is no answer yet."""
        url, key = self._where
        self.attempts += 1
        try:
            async with session.post(url, json=request, headers={"Authorization": f"Bearer {key}"}) as answer:
                said = await answer.text()
                if answer.status in (503, 429):
                    return None
                errors = json.loads(said).get("errors", []) if self.known.jumping else []
                ahead = {error["event_id"] for error in errors if error["reason"] == "time_in_future"}
                if (answer.status != 200 and not ahead) or len(errors) != len(ahead):
                    self.known.refused.append(f"{answer.status} {said[:300]}")
                return ahead
        except (aiohttp.ClientError, TimeoutError, OSError):
            return None
