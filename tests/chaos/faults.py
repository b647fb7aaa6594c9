"""What may go wrong in a chaos run, and the plan of it that a seed makes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from random import Random
from typing import Any, Final, NamedTuple

from .sender import Sender
from .world import SESSION_SECONDS, STOP_SECONDS, Role, World


class Fault(NamedTuple):
    """One fault: when it begins (seconds from the start), what, to whom, for how long."""

    at: float
    kind: str
    target: str
    seconds: float

    def __str__(self) -> str:
        whom = f" of {self.target}" if self.target else ""
        return f"{self.kind}{whom}" + (f" for {self.seconds:.1f} s" if self.seconds else "")


#: Kind to (weight, shortest, longest seconds, whom: a role's name begins so; empty: nobody).
KINDS: Final[dict[str, tuple[int, float, float, str]]] = {
    "SIGKILL": (4, 0, 0, "*"),
    "SIGTERM": (3, 0, 0, "*"),
    "SIGTERM and absence": (2, 2, 8, "*"),
    "SIGSTOP beyond the session": (4, SESSION_SECONDS + 1, SESSION_SECONDS + 5, "*"),
    "SIGSTOP within the session": (1, 0.5, SESSION_SECONDS - 1, "*"),
    "Kafka connections cut": (1, 0, 0, "*"),
    "Kafka silent, then goes on": (2, 0.5, 6, "*"),
    "Kafka takes but does not answer, then cut": (2, 0.5, 6, "*"),
    "Kafka slow": (1, 3, 8, "*"),
    "Kafka SIGKILL": (2, 0, 3, ""),
    "Kafka SIGTERM": (1, 0, 3, ""),
    "Kafka SIGSTOP": (1, 0.5, 5, ""),
    "ClickHouse does the insert, its answer is lost": (3, 0.5, 4, "*"),
    "ClickHouse silent, then goes on": (1, 1, 6, "*"),
    "ClickHouse refuses": (1, 1, 6, "*"),
    "ClickHouse SIGKILL": (2, 0, 4, ""),
    "ClickHouse SIGSTOP": (1, 1, 6, ""),
    "events of a month ago": (1, 1, 3, ""),
}


def draw(seed: int, seconds: float, roles: list[str], gap: float = 4.0) -> list[Fault]:
    """The faults of a run: one after the other in random distances of `gap` on average, so some overlap."""
    rng = Random(f"faults:{seed}")
    at, found = 2.0 + rng.random() * 2, []
    weights = [weight for weight, *_ in KINDS.values()]
    while at < seconds:
        kind = rng.choices(list(KINDS), weights)[0]
        _, shortest, longest, whom = KINDS[kind]
        target = rng.choice(roles) if whom else ""
        found.append(Fault(round(at, 1), kind, target, round(rng.uniform(shortest, longest), 1)))
        at += rng.uniform(gap * 0.25, gap * 1.75)
    return found


class Chaos:
    """Carries out the faults. `tell` gets a line for each; `problems` collects what should not have happened."""

    def __init__(self, world: World, sender: Sender, tell: Callable[[str], None]) -> None:
        self._world, self._sender, self._tell = world, sender, tell
        self._server = asyncio.Lock()  # Kafka or ClickHouse is being restarted
        self._busy = 0
        self._last_trouble = 0.0
        self.problems: list[str] = []

    async def carry_out(self, faults: list[Fault]) -> None:
        """All faults, at their times; returns when the last one is over."""
        began = time.monotonic()
        running = []
        for fault in faults:
            await asyncio.sleep(max(0.0, began + fault.at - time.monotonic()))
            self._tell(str(fault))
            running.append(asyncio.create_task(self._one(fault)))
        await asyncio.gather(*running)

    async def _one(self, fault: Fault) -> None:
        self._busy += 1
        try:
            await self._do(fault)
        finally:
            self._busy -= 1
            self._last_trouble = time.monotonic()

    async def _do(self, fault: Fault) -> None:
        world, seconds = self._world, fault.seconds
        kafka, clickhouse = world.ground.kafka, world.ground.clickhouse
        if fault.target:
            await self._to_role(fault, world.roles[fault.target])
            return
        match fault.kind:
            case "Kafka SIGKILL":
                await self._restart(kafka.kill, kafka.start, seconds)
            case "Kafka SIGTERM":
                await self._restart(kafka.stop, kafka.start, seconds)
            case "Kafka SIGSTOP":
                await self._restart(kafka.pause, kafka.resume, seconds)
            case "ClickHouse SIGKILL":
                await self._restart(clickhouse.kill, clickhouse.start, seconds)
            case "ClickHouse SIGSTOP":
                await self._restart(clickhouse.pause, clickhouse.resume, seconds)
            case "events of a month ago":
                self._sender.also_old = True
                await asyncio.sleep(seconds)
                self._sender.also_old = False
            case _:
                raise AssertionError(fault.kind)

    async def _to_role(self, fault: Fault, role: Role) -> None:
        seconds = fault.seconds
        match fault.kind:
            case "SIGKILL":
                await asyncio.to_thread(role.kill)
            case "SIGTERM":
                await self._terminate(role)
            case "SIGTERM and absence":
                role.wanted = False
                await self._terminate(role)
                await asyncio.sleep(seconds)
                role.wanted = True
            case "SIGSTOP beyond the session" | "SIGSTOP within the session":
                role.freeze()
                await asyncio.sleep(seconds)
                role.thaw()
            case "Kafka connections cut":
                role.kafka.cut()
            case "Kafka silent, then goes on":
                await self._between(role.kafka.hold, seconds, role.kafka.release)
            case "Kafka takes but does not answer, then cut":
                role.kafka.hold("down")
                await asyncio.sleep(seconds)
                role.kafka.cut()
                role.kafka.release("down")
            case "Kafka slow":
                await self._between(lambda: role.kafka.delay(100), seconds, lambda: role.kafka.delay(0))
            case "ClickHouse does the insert, its answer is lost":
                role.clickhouse.hold("down")
                await asyncio.sleep(seconds)
                role.clickhouse.cut()
                role.clickhouse.release("down")
            case "ClickHouse silent, then goes on":
                await self._between(role.clickhouse.hold, seconds, role.clickhouse.release)
            case "ClickHouse refuses":
                role.clickhouse.cut()
                await self._between(role.clickhouse.refuse, seconds, role.clickhouse.accept)
            case _:
                raise AssertionError(fault.kind)

    async def _terminate(self, role: Role) -> None:
        """SIGTERM; in quiet surroundings it must end in order and in time."""
        if not role.running:
            return
        quiet = self._busy == 1 and time.monotonic() - self._last_trouble > SESSION_SECONDS and await _healthy(role)
        last = self._last_trouble
        code, took = await role.terminate()
        # Nor has anything come and gone meanwhile.
        quiet = quiet and self._busy == 1 and self._last_trouble == last
        self._tell(f"  {role.name} ended with {code} after {took:.1f} s")
        if code is None:
            self.problems.append(f"{role.name} did not end {took:.0f} s after SIGTERM")
            await asyncio.to_thread(role.kill)
        elif quiet and (code != 0 or took > STOP_SECONDS):
            self.problems.append(f"{role.name} ended with {code}, {took:.1f} s after SIGTERM, with nothing else ill")

    async def _between(self, begin: Callable[[], Any], seconds: float, end: Callable[[], Any]) -> None:
        begin()
        await asyncio.sleep(seconds)
        end()

    async def _restart(self, down: Callable[[], Any], up: Callable[[], Any], seconds: float) -> None:
        async with self._server:
            await asyncio.to_thread(down)
            await asyncio.sleep(seconds)
            await asyncio.to_thread(up)


async def supervise(world: World, tell: Callable[[str], None]) -> None:
    """Start every wanted role again when it has ended, until cancelled: what systemd or Kubernetes would do."""
    while True:
        await asyncio.sleep(0.3)
        for role in world.roles.values():
            if role.wanted and not role.running:
                tell(f"  {role.name} starts again (ended with {role.code}: {_reason(role)})")
                role.start()


def _reason(role: Role) -> str:
    return "killed" if role.code == -9 else role.last_words(1)[-200:]


async def _healthy(role: Role) -> bool:
    health = await role.ask("/health")
    return bool(health and health["ready"] and not health["problems"])
