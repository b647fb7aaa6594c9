"""The checkpoints that the version before left (`tests/data/before`) are read, entry by entry, without a Kafka."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiokafka.record.memory_records import MemoryRecords

from pipeline.ingest.validate import Validator
from pipeline.state.checkpoint import Restorer
from pipeline.state.partition import PartitionState
from schemas.plan_io import load_plan

BEFORE = Path(__file__).resolve().parents[1] / "data" / "before"


@pytest.fixture(scope="module")
def changelog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("before")
    with tarfile.open(BEFORE / "before.tar.xz") as packed:
        packed.extractall(folder, filter="data")
    return folder / "kafka" / "log"


def records(log: Path, partition: int) -> Iterator[tuple[int, bytes]]:
    data = (log / f"streamgauge-state-changelog-{partition}" / f"{0:020}.log").read_bytes()
    batches = MemoryRecords(data)
    while (batch := batches.next_batch()) is not None:
        yield from ((record.offset, record.value) for record in batch)


def test_its_totals_and_windows_are_what_it_counted(changelog: Path) -> None:
    plan = load_plan(str(BEFORE / "plan.yaml"))
    totals, events, users = 0, 0, 0.0
    for partition in range(2):
        restorer = Restorer()
        for offset, value in records(changelog, partition):
            restorer.add(value, offset)
        state = PartitionState(plan, Validator(plan), partition, 2)
        state.restore(restorer.snapshot)
        rows, _, _ = state.changed_rows(0)
        day = [row for row in rows if row.grain == "day" and row.dimension == ""]
        totals += sum(state.totals.values())
        events += sum(row.events for row in day)
        users += sum(row.users for row in day)
    # 270 records, of which five are no event of the plan, by 30 users.
    assert (totals, events, round(users)) == (270, 265, 30)
