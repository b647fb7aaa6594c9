"""`streamgauge send` to a real broker: several files, each read as what it is, or none at all."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from whole_system import command

from pipeline.embedded.broker import EmbeddedBroker

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("needs_embedded")]
ROW = {"event_id": "e1", "event": "share", "user_id": "u1", "ts": 1_795_168_800_000}


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[EmbeddedBroker]:
    async with EmbeddedBroker(tmp_path / "broker") as started:
        await started.create_topics({"events": 2})
        yield started


async def send(broker: EmbeddedBroker, *arguments: str) -> tuple[int, str, str]:
    done = await asyncio.to_thread(command, "send", *arguments, "--plan", "shop", "--kafka", broker.bootstrap)
    return done.returncode, done.stdout, done.stderr


async def received(broker: EmbeddedBroker, count: int) -> dict[str, Any]:
    """So many events, by their id."""
    async with AIOKafkaConsumer("events", bootstrap_servers=broker.bootstrap, auto_offset_reset="earliest") as consumer:
        records = [await asyncio.wait_for(consumer.getone(), 30) for _ in range(count)]
    return {event["event_id"]: event for event in (json.loads(record.value) for record in records)}


async def test_several_files_are_sent_each_as_what_it_is(broker: EmbeddedBroker, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps(ROW) + "\n")
    semicolons = "event_id;event;user_id;ts\ne2;share;ü;2026-11-20T10:00:00Z\n"
    (tmp_path / "b.csv").write_bytes(semicolons.encode("utf-16"))
    (tmp_path / "c.json.gz").write_bytes(gzip.compress(json.dumps([{**ROW, "event_id": "e3"}]).encode()))
    files = [str(tmp_path / name) for name in ("a.jsonl", "b.csv", "c.json.gz")]
    code, out, err = await send(broker, *files, "--json")
    assert code == 0, err
    told = json.loads(out)
    assert (told["sent"], told["failed"], told["bad_lines"], told["files"]) == (3, 0, 0, files)
    found = await received(broker, 3)
    assert found == {"e1": ROW, "e2": {**ROW, "event_id": "e2", "user_id": "ü"}, "e3": {**ROW, "event_id": "e3"}}


async def test_of_several_files_none_is_sent_if_one_is_no_such_file(broker: EmbeddedBroker, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps(ROW) + "\n")
    (tmp_path / "b.parquet").write_bytes(b"PAR1" + b"\0" * 60)
    code, out, err = await send(broker, str(tmp_path / "a.jsonl"), str(tmp_path / "b.parquet"))
    assert (code, out) == (2, "")
    assert err == f"streamgauge: {tmp_path}/b.parquet is a Parquet file: write it as CSV or JSON lines\n"
    (tmp_path / "b.jsonl").write_text(json.dumps({**ROW, "event_id": "e2"}) + "\nno event\n")
    code, out, err = await send(broker, str(tmp_path / "b.jsonl"), "--skip-bad")
    assert (code, out.splitlines()[1]) == (1, "1 lines were left out: they are no events")
    assert (await received(broker, 1)).keys() == {"e2"}
