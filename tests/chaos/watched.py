"""A system that runs, seen from outside: what it stores, counts and answers, and whether it has come to rest."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Protocol

import aiohttp
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from pipeline.settings import Settings
from schemas.plan import Plan


class Answering(Protocol):
    """A role that can be asked, of the kind `worker` or `archiver`."""

    name: str
    kind: str

    @property
    def running(self) -> bool: ...

    async def ask(self, path: str) -> dict[str, Any] | None: ...

    def last_words(self, lines: int = 3) -> str: ...


class Watched:
    """What can be seen of a system. Whoever inherits has `settings`, `plan`, and `answering`: its roles."""

    settings: Settings
    plan: Plan

    @property
    def answering(self) -> Iterable[Answering]:
        """The roles that hold records."""
        raise NotImplementedError

    async def query(self, sql: str) -> list[Any]:
        """Rows of a query, past the proxies. Tries again for a while: the server may just have come back."""
        for _ in range(20):
            with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError):
                return await self._query(sql)
            await asyncio.sleep(0.5)
        return await self._query(sql)

    async def _query(self, sql: str) -> list[Any]:
        settings = self.settings
        login = aiohttp.encode_basic_auth("default", settings.clickhouse_password.get_secret_value())
        where = f"{settings.clickhouse_url}/?database={settings.clickhouse_database}"
        where += "&default_format=JSONCompactEachRow&output_format_json_quote_64bit_integers=0"
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as session,
            session.post(where, data=sql.encode(), headers={"Authorization": login}) as response,
        ):
            text = await response.text()
            assert response.status == 200, f"{text}\n{sql}"
            return [json.loads(line) for line in text.splitlines()]

    async def live_totals(self) -> dict[str, int]:
        """Records by outcome, as the workers count them now, over all workers that answer."""
        found: dict[str, int] = {}
        for role in self.answering:
            numbers = await role.ask("/live") if role.kind == "worker" and role.running else None
            for name, count in (numbers or {"totals": {}})["totals"].items():
                found[name] = found.get(name, 0) + count
        return found

    async def ends(self) -> dict[int, int]:
        """The end offset of each partition of the events topic."""
        consumer = AIOKafkaConsumer(bootstrap_servers=self.settings.kafka_bootstrap, enable_auto_commit=False)
        await consumer.start()
        try:
            parts = [TopicPartition(self.settings.events_topic, p) for p in range(self.settings.partitions)]
            return {tp.partition: end for tp, end in (await consumer.end_offsets(parts)).items()}
        finally:
            await consumer.stop()

    async def committed(self, group: str) -> dict[int, int]:
        """What a consumer group has committed, by partition of the events topic."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.settings.kafka_bootstrap)
        await admin.start()
        try:
            found = await admin.list_consumer_group_offsets(group)
            return {tp.partition: m.offset for tp, m in found.items() if tp.topic == self.settings.events_topic}
        finally:
            await admin.close()

    async def archived(self) -> dict[int, int]:
        """Up to which offset each partition is archived, as the archivers' next owner would believe."""
        return await self.committed(f"{self.settings.group}-archiver")

    async def standing(self) -> dict[str, Any]:
        """How far everybody is, partition by partition."""
        live = {row[0]: row[1] for row in await self.query("SELECT partition, version FROM live_partition_raw FINAL")}
        unpublished, not_ready = 0, []
        for role in self.answering:
            if not role.running:
                continue
            if not await is_ready(role):
                not_ready.append(role.name)
            elif role.kind == "worker" and (numbers := await role.ask("/live")) is not None:
                unpublished += numbers["unpublished"]
        return {
            "log": await self.ends(),
            "folded and published": live,
            "committed by workers": await self.committed(self.settings.group),
            "archived": await self.archived(),
            "rows not published": unpublished,
            "not ready": not_ready,
        }

    async def drained(self, seconds: float = 90) -> None:
        """Wait until every record of the topic is folded, published, archived and committed by everybody."""
        deadline = time.monotonic() + seconds
        standing: dict[str, Any] = {}
        while True:
            with contextlib.suppress(KafkaError, OSError):
                standing = await self.standing()
                if _at_rest(standing) and _at_rest(await self.standing()):
                    return
            if time.monotonic() > deadline:
                words = "\n".join(f"{r.name}: {r.last_words(2)}" for r in self.answering)
                raise NotDrained(f"not drained after {seconds:g} s: {standing}\n{words}")
            await asyncio.sleep(0.3)


class NotDrained(AssertionError):
    """The system did not come to rest."""


def _at_rest(standing: dict[str, Any]) -> bool:
    log = {p: end for p, end in standing["log"].items() if end}
    others = ("folded and published", "committed by workers", "archived")
    return (
        standing["rows not published"] == 0
        and not standing["not ready"]
        and all(all(standing[name].get(p) == end for p, end in log.items()) for name in others)
    )


async def is_ready(role: Answering) -> bool:
    """Whether it says so."""
    health = await role.ask("/health") if role.running else None
    return bool(health and health["ready"])


async def until(
    condition: Callable[[], Awaitable[Any]], what: str, seconds: float = 30, story: Callable[[], str] = lambda: ""
) -> Any:
    """Wait until `condition` gives something true, and return it; AssertionError naming `what` otherwise."""
    deadline = time.monotonic() + seconds
    while True:
        found = await condition()
        if found:
            return found
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}\n{story()}"
        await asyncio.sleep(0.05)
