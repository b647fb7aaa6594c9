"""`streamgauge import identities`: who was who in another tool is known here before the first event."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition
from persons.cluster import WRITTEN
from persons.test_aliases import told
from persons.test_answers import TEXT, Log, T
from whole_system import command

from pipeline.embedded.broker import EmbeddedBroker
from pipeline.ingest.records import Record

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("needs_embedded")]

FILE = """\
device,user,since
d1,u1,2026-01-01T00:00:00Z
tablet,u1,2026-01-01T00:00:00Z
tablet,u2,2026-01-02T00:00:00Z
u3,u3,2026-01-01T00:00:00Z
$device:odd,u1,2026-01-01T00:00:00Z
null,u1,2026-01-01T00:00:00Z
d9,$device:u1,2026-01-01T00:00:00Z
d9,u1,1970-01-01T00:00:00Z
tablet,u2,2026-01-03T00:00:00Z
"""


async def received(broker: EmbeddedBroker) -> list[list[Record]]:
    """The logs of the two partitions."""
    logs: list[list[Record]] = [[], []]
    async with AIOKafkaConsumer(bootstrap_servers=broker.bootstrap, auto_offset_reset="earliest") as consumer:
        places = [TopicPartition("events", p) for p in range(2)]
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        while any(len(logs[place.partition]) < ends[place] for place in places):
            for place, records in (await consumer.getmany(timeout_ms=1000)).items():
                logs[place.partition] += [Record(r.offset, WRITTEN, r.key, r.value, r.headers) for r in records]
    return logs


async def test_identities_are_links_before_the_first_event(tmp_path: Path) -> None:
    """By two ids a row; a device that is called as a user, or oddly, is a device."""
    (file := tmp_path / "who.csv").write_text(FILE)
    (plan := tmp_path / "plan.yaml").write_text(TEXT)
    words: tuple[Any, ...] = ("import", "identities", str(file), "--plan", str(plan), "--json")
    async with EmbeddedBroker(tmp_path / "broker") as broker:
        await broker.create_topics({"events": 2})
        done = await asyncio.to_thread(command, *words, "--kafka", broker.bootstrap)
        log = Log()
        log.cluster.logs[:] = await received(broker)
    assert json.loads(done.stdout) == {
        "table": "identities", "rows": 5, "bad": 4,
        "problems": [
            f"{file} line 7: an id that means nobody links to nobody",
            f"{file} line 8: no user's id begins with $device:, which stands for a device",
            f"{file} line 9: since: input should be greater than or equal to 2000-01-01T00:00:00Z, found "
            "'1970-01-01T00:00:00Z'",
            f"{file} line 10: the same device, user as line 4",
        ],
    }  # fmt: skip
    assert done.returncode == 1
    log.cluster.drain()
    assert told(log) == [
        ("$device:$device:odd", "u1", "linked"),
        ("$device:d1", "u1", "linked"),
        ("$device:tablet", "u1", "linked"),
        ("$device:tablet", "u2", "refused"),
        ("$device:u3", "u3", "linked"),
    ]
    for number, device in enumerate(("d1", "tablet", "$device:odd", "u3", "d9")):
        log.send("look", T + number, device=device)
    log.send("join", T + 10, user="u1")
    log.send("join", T + 11, user="u3")
    assert (log.users(), log.funnel()) == (3, [3, 2, 0])
    plan.write_text(TEXT.replace("identity: {", "identity: {link: never, "))
    done = await asyncio.to_thread(command, *words)
    assert (done.returncode, done.stderr) == (2, "streamgauge: this plan links no ids (identity.link: never)\n")
