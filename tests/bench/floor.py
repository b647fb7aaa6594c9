"""The floor: fetch and validate, in one process, and nothing else. What no fold in this process can be faster than.

`python -m tests.bench.floor BOOTSTRAP TOPIC EVENTS` prints its figures as JSON.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time

from aiokafka import AIOKafkaConsumer, TopicPartition

from pipeline.ingest.validate import Validator
from schemas.plan_io import load_plan

from .events import PARTITIONS


async def main(bootstrap: str, topic: str, expected: int) -> None:
    """Read the topic's first `expected` events."""
    parse = Validator(load_plan("shop")).parse
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest", enable_auto_commit=False)
    await consumer.start()
    try:
        consumer.assign([TopicPartition(topic, p) for p in range(PARTITIONS)])
        gc.freeze()
        gc.set_threshold(100_000, 20, 100)  # as the worker has it
        seen = first = 0
        started, cpu = time.perf_counter(), time.process_time()
        while seen < expected:
            fetched = await consumer.getmany(timeout_ms=1000, max_records=5000)
            for records in fetched.values():
                for record in records:
                    parse(record.value)
                seen += len(records)
            if not first:
                # The first fetch waits for connections and metadata.
                first, started, cpu = seen, time.perf_counter(), time.process_time()
        figures = {"seconds": time.perf_counter() - started, "cpu": time.process_time() - cpu}
        print(json.dumps({"events": seen - first, **figures}))
    finally:
        await consumer.stop()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
