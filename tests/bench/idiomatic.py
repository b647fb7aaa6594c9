"""Idiomatic Faust: the count per minute, event and platform as its documentation teaches it.

One event at a time, a Pydantic model, one windowed table. No duplicates are found, no users counted, no funnels, and
the table is not even right when there are two workers: the key of the stream is the user. That makes it a lenient
yardstick. A process of its own: `python -m tests.bench.idiomatic BOOTSTRAP TOPIC EVENTS` prints its figures as JSON.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from datetime import timedelta
from typing import Any

import faust

from schemas.plan_io import load_plan

from .model import model_of


def make_app(bootstrap: str, topic_name: str, expected: int) -> faust.App:
    """The app; its process ends by itself after `expected` events."""
    app = faust.App(
        f"idiomatic-{os.getpid()}",  # a new group, that has read nothing yet
        broker=f"kafka://{bootstrap}",
        store="memory://",
        datadir=tempfile.mkdtemp(prefix="streamgauge-bench-"),
        topic_partitions=4,
        web_enabled=False,
        consumer_auto_offset_reset="earliest",
        broker_session_timeout=6.0,
        broker_heartbeat_interval=1.5,
    )
    model = model_of(load_plan("shop"))
    topic = app.topic(topic_name, value_type=bytes, value_serializer="raw")
    counts = app.Table("counts", default=int).tumbling(timedelta(minutes=1), expires=timedelta(hours=1))

    @app.agent(topic)
    async def count(values: Any) -> None:
        seen = 0
        async for value in values:
            if not seen:
                started, cpu = time.perf_counter(), time.process_time()
            event: Any = model.model_validate_json(value)
            counts[event.event, event.platform] += 1
            seen += 1
            if seen == expected:
                figures = {"seconds": time.perf_counter() - started, "cpu": time.process_time() - cpu}
                # On a line of its own: Faust has written codes for the terminal's cursor.
                print("\n" + json.dumps({"events": seen - 1, **figures}), flush=True)
                os._exit(0)  # measured; an orderly stop of Faust takes several seconds

    return app


if __name__ == "__main__":
    made = make_app(sys.argv[1], sys.argv[2], int(sys.argv[3]))
    faust.Worker(made, loglevel="warning", quiet=True, redirect_stdouts=False).execute_from_commandline()
