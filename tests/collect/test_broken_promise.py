"""A front door whose two ways of validation differ ends: what it has told so far could be wrong."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import pytest

from pipeline.collect import server
from pipeline.collect.native import Native
from pipeline.collect.producer import Producer
from pipeline.collect.reception import Reception
from pipeline.collect.server import FrontDoor
from pipeline.collect.sources import Sources, add_source
from pipeline.errors import BrokenPromiseError
from pipeline.ingest import validate
from pipeline.ingest.recognise import Recogniser
from pipeline.settings import Settings
from schemas.event import Event
from schemas.plan_io import load_plan


async def test_the_request_is_refused_and_the_process_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = Recogniser.recognise_one

    def mistaken(self: Recogniser, value: bytes) -> Event | None:
        event = right(self, value)
        assert event is not None
        event.city = "Atlantis"
        return event

    monkeypatch.setattr(Recogniser, "recognise_one", mistaken)
    monkeypatch.setattr(validate, "COMPARED", 1)
    monkeypatch.setattr(server, "DRAIN_SECONDS", 0.1)
    sources = tmp_path / "sources.json"
    key = add_source(sources, "web")
    door = FrontDoor(Settings(collect_port=0, collect_sources=sources), Sources(sources), [Native()])
    producer = Producer({"bootstrap_servers": "127.0.0.1:1"}, "events", 1, 1 << 20, 1.0)
    await door.start()
    try:
        ending = asyncio.create_task(door.failing())
        # It comes to no sending.
        door.open(producer, Reception(load_plan("shop"), 1))
        body = json.dumps(
            {"event_id": "e", "event": "app_open", "user_id": "u", "ts": int(time.time() * 1000)}
        ).encode()
        reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
        writer.write(
            b"POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nConnection: close\r\n"
            b"Content-Length: %d\r\n\r\n%s" % (key.encode(), len(body), body)
        )
        async with asyncio.timeout(10):
            answer = await reader.read()
            assert answer.startswith(b"HTTP/1.1 500 ")
            with pytest.raises(BrokenPromiseError, match=r"'app_open' of .* bytes was recognised"):
                await ending
        writer.close()
    finally:
        await door.stop()
        await producer.stop()
