"""Simulated users, sent to Kafka by the clock. What was sent is not the truth: what stands in the log is."""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import time
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from pipeline.simulate import Noise, Population, Sent, add_noise
from schemas.plan import Plan

from .people import with_people

#: Much of everything, so that a short run has some of each.
NOISE = Noise(
    malformed=0.02, retry=0.03, slow_retry=0.01, late=0.01, out_of_order=0.05, no_key=0.01, wrong_key=0.01,
    wrong_partition=0.01,
)  # fmt: skip
#: So many come from another device and channel than their user's: under which one counts then depends on order.
_ELSEWHERE = 0.2
_OTHERS = {b"platform": (b"ios", b"android", b"web"), b"channel": (b"ads", b"email", b"direct")}
MONTH_MS = 30 * 86_400_000
_TICK_SECONDS = 0.02


class Sender:
    """Sends until told to stop; outlives every trouble of Kafka."""

    def __init__(
        self, bootstrap: str, topic: str, plan: Plan, partitions: int, *, seed: int, rate: float, noise: Noise = NOISE,
        users: int = 400,
    ) -> None:  # fmt: skip
        self._bootstrap, self._topic = bootstrap, topic
        self._plan, self._partitions = plan, partitions
        self._seed, self._rate, self._noise, self._users = seed, rate, noise, users
        self._stopping = asyncio.Event()
        #: While set, every event is sent a second time, a month older and with an id of its own.
        self.also_old = False
        self.sent = 0
        self.new_producers = 0
        self._failed = False

    def stop(self) -> None:
        """End `run` soon."""
        self._stopping.set()

    async def run(self) -> None:
        """Send by the clock until `stop`."""
        start = int(time.time() * 1000)
        users = Population(self._seed, start_ms=start, rate=self._rate, users=self._users)
        events = with_people(users.events(), self._seed) if self._plan.identity.alias is not None else users.events()
        records = add_noise(events, self._noise, self._plan, seed=self._seed, partitions=self._partitions)
        producer: AIOKafkaProducer | None = None
        rng = random.Random(self._seed)
        try:
            for record in records:
                if rng.random() < _ELSEWHERE:
                    record = _elsewhere(record, rng)
                while record.at > time.time() * 1000 and not self._stopping.is_set():
                    await asyncio.sleep(_TICK_SECONDS)
                if self._stopping.is_set():
                    break
                for one in (record, _older(record)) if self.also_old else (record,):
                    producer = await self._send(producer, one)
        finally:
            if producer is not None:
                with contextlib.suppress(KafkaError):
                    await producer.stop()

    async def _send(self, producer: AIOKafkaProducer | None, record: Sent) -> AIOKafkaProducer:
        while True:
            try:
                if producer is not None and self._failed:
                    raise KafkaError("a record was not acknowledged")
                if producer is None:
                    producer = await self._new_producer()
                sent = await producer.send(self._topic, record.value, key=record.key, partition=record.partition)
                sent.add_done_callback(self._note)
            except (KafkaError, OSError):
                # Lost or sent twice: the log will say. Another producer has another identity for Kafka.
                if producer is not None:
                    with contextlib.suppress(KafkaError, OSError):
                        await producer.stop()
                producer = None
                await asyncio.sleep(0.2)
            else:
                self.sent += 1
                return producer

    def _note(self, sent: asyncio.Future[Any]) -> None:
        # An idempotent producer that has lost a record may lose all that come after it.
        if not sent.cancelled() and sent.exception() is not None:
            self._failed = True

    async def _new_producer(self) -> AIOKafkaProducer:
        self.new_producers += 1
        producer: AIOKafkaProducer = AIOKafkaProducer(
            bootstrap_servers=self._bootstrap, enable_idempotence=True, acks="all", linger_ms=10,
            request_timeout_ms=6_000, max_request_size=4 << 20,
        )  # fmt: skip
        try:
            await producer.start()
        except BaseException:
            await producer.stop()
            raise
        self._failed = False
        return producer


def _elsewhere(record: Sent, rng: random.Random) -> Sent:
    """The event with another platform and channel, if it has any."""
    value = record.value
    for field, others in _OTHERS.items():
        if value is not None:
            value = re.sub(rb'"%b":"\w+"' % field, b'"%b":"%b"' % (field, rng.choice(others)), value, count=1)
    return record._replace(value=value)


def _older(record: Sent) -> Sent:
    """The event a month ago, another event; anything that is no event as it is."""
    if record.value is None or record.truth == "rejected":
        return record

    def earlier(match: Any) -> bytes:
        return b'"ts":%d' % (int(match.group(1)) - MONTH_MS)

    value = re.sub(rb'"ts":(\d{13})\b', earlier, record.value, count=1)
    return record._replace(value=re.sub(rb'"event_id":"', b'"event_id":"old-', value, count=1))
