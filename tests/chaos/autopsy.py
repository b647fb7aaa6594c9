"""`python -m tests.chaos.autopsy FOLDER PARTITION`: where the changelog of a failed run departs from the log.

Starts the run's Kafka again on what it left, folds the log up to each checkpoint, and compares with what a worker
would restore there.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import msgpack
from kafka_harness.reading import read_log

from pipeline.embedded.kafka.jars import kafka_jars
from pipeline.embedded.kafka.java import java
from pipeline.embedded.kafka.node import server_command
from pipeline.ingest.records import Record
from pipeline.ingest.validate import Validator
from pipeline.state.checkpoint import Restorer
from pipeline.state.partition import PartitionState
from schemas.plan_io import load_plan


def main() -> None:
    """Start Kafka, compare, stop Kafka."""
    logging.basicConfig(level=logging.CRITICAL)
    folder, partition = Path(sys.argv[1]), int(sys.argv[2])
    properties = folder / "kafka" / "server.properties"
    found = re.search(r"DIRECT://(127.0.0.1:\d+)", properties.read_text())
    assert found
    command = server_command(java(), kafka_jars(), folder / "autopsy.log", properties)
    kafka = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        asyncio.run(_compare(folder, found.group(1), partition))
    finally:
        kafka.terminate()
        kafka.wait()


async def _compare(folder: Path, bootstrap: str, partition: int) -> None:
    topics = {one.name.rsplit("-", 1)[0] for one in (folder / "kafka" / "log").iterdir() if one.is_dir()}
    events = next(name for name in topics if name.startswith("events-"))
    changelog = next(name for name in topics if name.endswith("-state-changelog"))
    logs: dict[int, Any] = {}
    while not logs:
        with contextlib.suppress(Exception):
            logs = await read_log(bootstrap, events)
    plan, count = load_plan(str(folder / "plan.yaml")), len(logs)
    records = [Record(r.offset, r.timestamp, r.key, r.value, tuple(r.headers)) for r in logs[partition]]
    validator, restorer = Validator(plan), Restorer()
    right = PartitionState(plan, validator, partition, count)
    for record in (await read_log(bootstrap, changelog))[partition]:
        restorer.add(record.value, record.offset)
        (_, writer, mark, part, parts, _), entries = msgpack.unpackb(record.value)
        at = time.strftime("%H:%M:%S", time.gmtime(record.timestamp / 1000))
        line = (
            f"{record.offset:5} {at} writer {writer.hex()[:6]} mark {mark}, {part + 1}/{parts}, {len(entries)} entries"
        )
        if mark < right.position or part + 1 < parts:
            print(line)
            continue
        right.fold([one for one in records if right.position <= one.offset < mark])
        restored = PartitionState(plan, validator, partition, count)
        restored.restore(restorer.snapshot)
        a, b = _figures(right), _figures(restored)
        wrong = {key: (a.get(key), b.get(key)) for key in a.keys() | b.keys() if a.get(key) != b.get(key)}
        print(line, f"{len(wrong)} DIFFER (log, changelog): {list(wrong.items())[:2]}" if wrong else "equal")


def _figures(state: PartitionState) -> dict[Any, Any]:
    cells = {key: (cell.events, cell.value) for key, cell in state.activity.accumulators.items()}
    others = {"watermark": state.watermark, "totals": list(state.totals.values()), "ids": len(state.classifier.seen)}
    return {**cells, **others}


if __name__ == "__main__":
    main()
