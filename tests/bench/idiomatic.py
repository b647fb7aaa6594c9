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
from typing import Any, Literal, get_type_hints

import faust
from pydantic import BaseModel, ConfigDict, create_model

from schemas.event import EventDict
from schemas.models import property_type
from schemas.plan import Plan
from schemas.plan_io import load_plan


def model_of(plan: Plan) -> type[BaseModel]:
    """One model with the envelope's fields and the plan's properties, with the same types and limits."""
    strict = ConfigDict(strict=True, allow_inf_nan=False)
    properties: dict[str, Any] = {}
    for spec in plan.events.values():
        for name, prop in spec.properties.items():
            kind = property_type(prop, is_value=name == spec.value)
            properties[name] = (properties[name][0] | kind | None, None) if name in properties else (kind | None, None)
    inner = create_model("Properties", __config__=strict, **properties)
    fields: dict[str, Any] = {}
    for name, hint in get_type_hints(EventDict, include_extras=False).items():
        fields[name] = (hint, ...) if name in EventDict.__required_keys__ else (hint, None)
    fields["event"] = (Literal[tuple(plan.events)], ...)
    fields["properties"] = (inner | None, None)
    return create_model("ShopEvent", __config__=ConfigDict(extra="forbid", strict=True), **fields)


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
