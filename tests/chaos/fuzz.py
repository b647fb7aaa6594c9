"""`python -m tests.chaos.fuzz`: whole records of strangers, at random, and 0 exits of worker and archiver.

Everything of a record is drawn: value, key, names and values of headers, time, compression, the batch around it. What
worker and archiver made of the log is compared, outcome by outcome, with what a reader of the same log makes of it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # as in the tests: kafka_harness is found there

import yaml
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError
from kafka_harness import KafkaServer

from pipeline.demo.system import System
from pipeline.ingest.classify import PartitionClassifier
from pipeline.ingest.partitioner import partitions_of
from pipeline.ingest.validate import Validator
from pipeline.kafka.consumer import LogConsumer
from pipeline.settings import Settings, plan_of
from schemas.plan import Plan

from .ground import ROOT
from .letters import anonymous, letter, person
from .plan import with_persons
from .raw import CODECS, CONTROL, Raw, RawProducer, batch

PARTITIONS: Final = 4
_BATCH: Final = 400
_MAX64: Final = (1 << 63) - 1
_DAY: Final = 86_400_000
_BAD_NAMES: Final = (
    b"\xff",
    b"\xc3(",
    b"\xed\xa0\x80",
    b"",
    b"streamgauge-origin\xff",
    b"\x00",
    b"x" * 5000,
    b"\xf0\x9f",
)
_ORIGINS: Final = (
    None,
    b"",
    b"0:1",
    b"0:1",
    b"3:77",
    b"\xff\xfe",
    b"99999999999999999999:1",
    b"a:b",
    b":",
    b"x" * 9000,
)
_WRONG: Final = (
    None, b"", b"{}", b"null", b"[]", b"\xff\xfe\x00", b'{"event":"purchase"', b"\x00" * 50, b'"x"', b"1e999", b"NaN",
    b"[" * 5000, b'{"a":' * 5000, b"\xef\xbb\xbf{}", b"{" + b'"k":1,' * 3000 + b'"z":1}',
)  # fmt: skip
_EVENTS: Final = ("app_open", "search", "view_item", "add_to_cart", "checkout", "purchase", "nothing_of_the_plan")


_PROPERTIES: Final[dict[str, dict[str, Any]]] = {
    "view_item": {"item_id": "i1"},
    "add_to_cart": {"item_id": "i1", "quantity": 1},
    "search": {"query": "shoes"},
    "purchase": {"order_id": "o1"},
}


def drawn(rng: random.Random, now: int, plan: Plan) -> tuple[int, Raw]:
    """One record, and the partition that it is sent to."""
    if rng.random() < 0.1:
        return letter(rng, now, plan, PARTITIONS)
    event = _event(rng, f"u{rng.randrange(3000)}", now)
    user = anonymous(rng, event)
    value: bytes | None = _spoilt(rng, event)
    luck = rng.random()
    if luck < 0.05:
        value = rng.choice(_WRONG)
    elif luck < 0.08 and value:
        data = bytearray(value)
        for _ in range(rng.randint(1, 4)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        value = bytes(data)
    elif luck < 0.0802:
        value = b'{"x":"' + b"y" * rng.choice((990_000, 1_000_000, 1_000_100)) + b'"}'
    home = int(partitions_of([user.encode()], PARTITIONS)[0])
    partition = home if rng.random() < 0.95 else rng.randrange(PARTITIONS)
    return partition, Raw(value, _key(rng, user), _headers(rng), _time(rng, now))


def _event(rng: random.Random, user: str, now: int) -> dict[str, Any]:
    event: dict[str, Any] = {
        "event_id": f"e{rng.randrange(2_000_000)}",
        "event": rng.choice(_EVENTS),
        "user_id": user,
        "ts": now - int(rng.expovariate(1 / 60_000)),
        "platform": rng.choice(("ios", "android", "web", "", None)),
    }
    event["properties"] = dict(_PROPERTIES.get(event["event"], {}))
    if event["event"] == "purchase":
        event["properties"]["amount"] = rng.choice((1, 9.99, 9.99, 0.1, 0.1, 1e300, -5, "x", 9007199254740993))
    return event


def _spoilt(rng: random.Random, event: dict[str, Any]) -> bytes:
    """The event as JSON, now and then with something odd in it."""
    if rng.random() < 0.02:
        event[rng.choice(list(event))] = rng.choice(
            (
                None,
                "",
                "\ud800",
                "\x00",
                0,
                -1,
                _MAX64,
                1e308,
                "x" * 3000,
                [],
                {},
                "é" * 200,
                "2026-13-45T99:00:00Z",
                True,
            )
        )
    if rng.random() < 0.002:
        event["properties"] = {"x" * rng.randrange(1, 300): [[[{"deep": rng.random()}]] * rng.randrange(1, 50)]}
    return json.dumps(event).encode()


def _key(rng: random.Random, user: str) -> bytes | None:
    luck = rng.random()
    if luck < 0.9:
        return user.encode()
    if luck < 0.9002:
        return b"k" * 100_000
    return rng.choice((None, b"", b"\xff\xfe", rng.randbytes(20)))


def _headers(rng: random.Random) -> list[tuple[bytes, bytes | None]]:
    luck = rng.random()
    if luck < 0.8:
        return []
    if luck < 0.8002:
        return [(b"h%d" % n, None) for n in range(rng.choice((1000, 20_000)))]
    if luck < 0.8004:
        return [(b"large", b"z" * 900_000)]
    found: list[tuple[bytes, bytes | None]] = []
    for _ in range(rng.randint(1, 3)):
        name = rng.choice((b"trace", b"streamgauge-origin", rng.choice(_BAD_NAMES), rng.randbytes(rng.randint(1, 8))))
        found.append((name, rng.choice(_ORIGINS)) if rng.random() < 0.8 else person(rng))
    return found


def _time(rng: random.Random, now: int) -> int:
    luck = rng.random()
    if luck < 0.97:
        return now
    return rng.choice(
        (-1, 0, 1, -(10**15), 253_402_300_800_000, _MAX64, now - 400 * 86_400_000, now + 400 * 86_400_000)
    )


def packed(rng: random.Random, records: list[Raw], broken: bool) -> bytes:
    """A batch of them; where the broker takes it (`broken`), now and then one that nobody can read."""
    codec = rng.choice(list(CODECS))
    if broken and rng.random() < 0.02:
        kind = rng.randrange(6)
        if kind == 5:
            return batch(records, codec, offsets=[rng.choice((n, n, 0, -5, 10**9)) for n in range(len(records))])
        if kind == 0:
            return batch(records, codec, crc=1)
        if kind == 1:
            return batch(records, codec, number=rng.choice((0, 1, len(records) + 5, 2_000_000)))
        if kind == 2:
            return batch(records, codec, attributes=CONTROL)
        if kind == 3:
            return batch(records, attributes=rng.choice((5, 6, 7)))
        at = rng.random()

        def damage(data: bytes) -> bytes:
            cut = int(len(data) * at)
            return data[:cut] + rng.randbytes(5) + data[cut + 5 :]

        return batch(records, codec, damage=damage)
    return batch(records, codec)


def batches(rng: random.Random, count: int, broken: bool, plan: Plan) -> Iterator[tuple[int, int, bytes]]:
    """Partition, number of records, bytes."""
    left = count
    now = int(time.time() * 1000)
    while left > 0:
        by_partition: dict[int, list[Raw]] = {}
        for _ in range(min(left, _BATCH)):
            partition, record = drawn(rng, now, plan)
            by_partition.setdefault(partition, []).append(record)
        for partition, records in by_partition.items():
            yield partition, len(records), packed(rng, records, broken)
        left -= _BATCH


@contextlib.asynccontextmanager
async def ground(apache: bool, folder: Path) -> AsyncIterator[System]:
    """The whole system on the embedded broker, or on Apache Kafka with topics that keep the producer's time."""
    text = yaml.safe_load((ROOT / "schemas" / "plans" / "shop.yaml").read_text())
    (folder / "plan.yaml").write_text(yaml.safe_dump(with_persons(text), sort_keys=False))
    settings = Settings(
        plan=str(folder / "plan.yaml"), partitions=PARTITIONS, session_timeout_s=6.0, state_dir=folder / "state"
    )
    if not apache:
        async with System(settings, folder) as system:
            yield system
        return
    # Not what is asked for here: a busy machine that takes the broker from itself.
    server = KafkaServer(folder / "kafka", extra={"broker.session.timeout.ms": "9000"})
    await asyncio.to_thread(server.start)
    try:
        limits = {"message.timestamp.before.max.ms": str(_MAX64), "message.timestamp.after.max.ms": str(_MAX64)}
        server.create_topics({settings.events_topic: PARTITIONS}, {"max.message.bytes": "2000000", **limits})
        settings = settings.model_copy(update={"kafka_bootstrap": server.bootstrap})
        async with System(settings, folder, embedded_kafka=False) as system:
            yield system
    finally:
        await asyncio.to_thread(server.kill)


async def fuzz(count: int, seed: int, apache: bool, folder: Path) -> list[str]:
    """Send so many records; what went wrong."""
    rng = random.Random(seed)
    async with ground(apache, folder) as system:
        plan = plan_of(system.settings)
        await system.wait_ready()
        pids = {role.name: role.process.pid for role in (system.worker, system.archiver) if role.process}
        sent = refused = 0
        began = time.monotonic()
        async with RawProducer(system.settings.kafka_bootstrap, system.settings.events_topic) as producer:
            for partition, number, data in batches(rng, count, not apache, plan):
                try:
                    await producer.send(partition, data)
                    sent += number
                except (KafkaError, OSError):
                    refused += number
                if (sent + refused) // 50_000 != (sent + refused - number) // 50_000:
                    print(f"  {sent:,} sent, {refused:,} refused, {time.monotonic() - began:.0f} s", flush=True)
        problems: list[str] = []
        worker = archiver = right = {}
        deadline = time.monotonic() + 120 + count / 2000
        while time.monotonic() < deadline:
            await asyncio.sleep(2)
            worker, archiver = await _rest(system)
            if worker and worker == archiver:
                right = await asyncio.to_thread(lambda: asyncio.run(_recount(system)))
                if right == worker:
                    break
        for name, found in (("worker", worker), ("archiver", archiver)):
            if not found or found != right:
                problems.append(f"{name}: {dict(found)}, right is {dict(right)}")
        for role in (system.worker, system.archiver):
            if role.process is None or role.process.pid != pids[role.name]:
                problems.append(f"the {role.name} ended, see its log")
            health = await role.ask("/health")
            if not health or not health["ready"] or "records" in health["problems"]:
                problems.append(f"health of the {role.name}: {health}")
        where = "Apache Kafka" if apache else "the embedded broker"
        print(
            f"fuzz, seed {seed}: {sent:,} records sent to {where}, {refused:,} refused by it, {sum(right.values()):,} "
            f"in its log ({', '.join(f'{n:,} {name}' for name, n in sorted(right.items()))}), "
            f"{len(problems)} problems, {time.monotonic() - began:.0f} s",
            flush=True,
        )
        return problems


async def _rest(system: System) -> tuple[Counter[str], Counter[str]]:
    """What worker and archiver made of the log, once they have read all of it."""
    live, health = await system.worker.ask("/live"), await system.archiver.ask("/health")
    if not live or not health or live["lag"] != 0 or health["lag"] != 0:
        return Counter(), Counter()
    return +Counter(live["totals"]), +Counter(health["totals"])


async def _recount(system: System) -> Counter[str]:
    """The log read anew and judged record by record."""
    settings, plan = system.settings, plan_of(system.settings)
    consumer = LogConsumer(**settings.kafka_kwargs(), auto_offset_reset="earliest", max_partition_fetch_bytes=4 << 20)
    await consumer.start()
    found: Counter[str] = Counter()
    try:
        validator = Validator(plan)
        for partition in range(PARTITIONS):
            tp = TopicPartition(settings.events_topic, partition)
            consumer.assign([tp])
            classifier = PartitionClassifier(plan, validator, partition, PARTITIONS, since=settings.log_since_ms)
            consumer.seek(tp, 0)
            while (end := consumer.readable_end(tp)) is None or (consumer.read_to(tp) or 0) < end:
                for records in (await consumer.getmany(tp, timeout_ms=200)).values():
                    result = classifier.classify(records)
                    found.update(outcome.name.lower() for outcome in result.outcomes)
    finally:
        await consumer.stop()
    return found


def main() -> int:
    """Run as the arguments say."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.fuzz", description=__doc__)
    parser.add_argument("--records", type=int, default=20_000, help="how many (%(default)s)")
    parser.add_argument("--seed", type=int, help="any if not given")
    parser.add_argument("--apache", action="store_true", help="on Apache Kafka instead of the embedded broker")
    args = parser.parse_args()
    logging.basicConfig(level=logging.CRITICAL)
    seed = args.seed if args.seed is not None else random.randrange(1_000_000)
    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
    problems = asyncio.run(fuzz(args.records, seed, args.apache, folder))
    for problem in problems:
        print(f"  ! {problem}")
    if problems:
        print(f"  logs: {folder}")
        return 1
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
