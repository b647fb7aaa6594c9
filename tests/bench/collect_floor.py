"""The floor of the front door: a bare ASGI server that parses JSON and produces, and judges nothing.

`python -m tests.bench.collect_floor BOOTSTRAP PORT`. uvicorn with httptools and uvloop, the fastest of those measured
(docs/decisions/0015-the-front-door.md), and the front door's own producer, whose acknowledgement it waits for.
"""

from __future__ import annotations

import gc
import sys
from typing import Any

import uvicorn
from pydantic_core import from_json, to_json

from pipeline.collect.producer import Producer, Sendable
from pipeline.ingest.partitioner import partitions_of

from .events import PARTITIONS


class Floor:
    """The ASGI application."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._producer: Producer | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """One request, or the life of the server."""
        if scope["type"] == "lifespan":
            await receive()
            self._producer = Producer({"bootstrap_servers": self._bootstrap}, "events", PARTITIONS, 64 << 20, 10.0)
            await self._producer.start()
            gc.freeze()
            gc.set_threshold(100_000, 20, 100)  # as the front door has it
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await self._producer.stop()
            await send({"type": "lifespan.shutdown.complete"})
            return
        if scope["method"] == "GET":  # whether it is there
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body"})
            return
        parts = []
        while True:
            message = await receive()
            parts.append(message.get("body", b""))
            if not message.get("more_body"):
                break
        count = await self._take(b"".join(parts))
        body = b'{"accepted":%d}' % count
        head = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": body})

    async def _take(self, body: bytes) -> int:
        assert self._producer is not None
        found = from_json(body)
        events = found["batch"] if isinstance(found, dict) and "batch" in found else found
        events = events if isinstance(events, list) else [events]
        keys = [(event.get("user_id") or event["userId"]).encode() for event in events]
        homes = partitions_of(keys, PARTITIONS).tolist()
        records = [Sendable(home, key, to_json(event)) for home, key, event in zip(homes, keys, events, strict=True)]
        await self._producer.send(records, 0)
        return len(events)


if __name__ == "__main__":
    uvicorn.run(
        Floor(sys.argv[1]), host="127.0.0.1", port=int(sys.argv[2]), http="httptools", loop="uvloop",
        access_log=False, log_level="warning",
    )  # fmt: skip
