"""A state on disk is the state in memory: through restarts, late writes of other owners, and a shortened changelog."""

from __future__ import annotations

import tempfile
from pathlib import Path

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import UserError
from pipeline.ingest.records import Record
from pipeline.state.checkpoint import Checkpoint, Restorer, encode
from pipeline.state.disk import Disk, DiskEntries
from pipeline.state.partition import PartitionState

from .test_partition import PLAN, START, VALIDATOR, event, facts, logs, new_state, numbered, values

pytestmark = pytest.mark.usefixtures("needs_rocksdb")


class Log:
    """A changelog partition."""

    def __init__(self) -> None:
        self.records: list[bytes] = []
        self.begin = 0

    def write(self, records: list[bytes]) -> int:
        self.records += records
        return len(self.records) - 1


class Owner:
    """A worker's partition on disk: restored from it and the changelog, as the worker's store does it."""

    def __init__(self, folder: Path, log: Log, name: bytes) -> None:
        self.log, self.name = log, name
        self.disk = Disk(folder)
        restorer = Restorer(self.disk)
        after = -1 if self.disk.offset is None else self.disk.offset
        for offset in range(max(after + 1, log.begin), len(log.records)):
            restorer.add(log.records[offset], offset)
        self.state = PartitionState(PLAN, VALIDATOR, 0, 1, self.disk)
        self.state.restore(self.disk)

    def save(self, crash: bool, pieces: int) -> None:
        if not self.state.unsaved:
            return
        checkpoint = self.state.checkpoint()
        # In several records, as if it were large.
        cut = max(1, len(checkpoint.entries) // pieces)
        groups = [checkpoint.entries[i : i + cut] for i in range(0, len(checkpoint.entries), cut)] or [[]]
        records = _parts(checkpoint, groups, self.name)
        if crash:
            self.log.write(records[:-1])  # broken off, or the last of it was never acknowledged
            return
        self.state.acknowledged(checkpoint, len(records), self.log.write(records))

    def close(self) -> None:
        self.disk.close()


def _parts(checkpoint: Checkpoint, groups: list[list[tuple[bytes, bytes]]], writer: bytes) -> list[bytes]:
    return [
        msgpack.packb(((1, writer, checkpoint.position, n, len(groups), checkpoint.meta if n == 0 else None), group))
        for n, group in enumerate(groups)
    ]


_turns = st.lists(
    st.tuples(
        st.sampled_from(["a", "b"]), st.sampled_from(["save", "save", "crash", "restart", "expire"]),
        st.integers(1, 8), st.integers(1, 3),
    ),
    min_size=4,
    max_size=20,
)  # fmt: skip
_long_logs = st.lists(values, min_size=40, max_size=60).map(numbered)


@given(_long_logs, _turns)
@settings(deadline=None, max_examples=settings.default.max_examples // 4)
def test_two_workers_with_disks_that_die_and_write_late(
    log: list[Record], turns: list[tuple[str, str, int, int]]
) -> None:
    """Two workers that both believe they own a partition write to one changelog, each with a disk of its own."""
    with tempfile.TemporaryDirectory() as folder:
        changelog = Log()
        owners = {name: Owner(Path(folder) / name, changelog, name.encode()) for name in "ab"}
        for turn, (name, what, further, pieces) in enumerate(turns):
            owner = owners[name]
            if what == "restart":
                owner.close()
                owners[name] = Owner(Path(folder) / name, changelog, b"%b%d" % (name.encode(), turn))
                continue
            owner.state.fold(log[owner.state.position : owner.state.position + further])
            if what == "expire":
                owner.state.changed_rows(0)
                owner.state.published()
                owner.state.expire()
            else:
                owner.save(what == "crash", pieces)
                if what == "crash":
                    owner.close()
                    owners[name] = Owner(Path(folder) / name, changelog, b"%b%d" % (name.encode(), turn))
        whole = new_state()
        whole.fold(log)
        whole_facts = facts(whole)
        for name, owner in owners.items():
            owner.close()
            last = Owner(Path(folder) / name, changelog, b"last")
            last.state.fold(log)
            found = facts(last.state)
            assert _open(found, last.state.watermark) == _open(whole_facts, last.state.watermark)
            last.close()


def _open(found: dict[str, object], watermark: int) -> dict[str, object]:
    """The facts without windows that are closed: a state may have forgotten those."""
    horizon = watermark - PLAN.lateness
    activity = [row for row in found["activity"] if row.end > horizon]  # type: ignore[attr-defined]
    funnels = [row for row in found["funnels"] if row.end + 300_000 > horizon]  # type: ignore[attr-defined]
    return found | {"activity": activity, "funnels": funnels}


@given(logs, st.lists(st.integers(0, 60), min_size=1, max_size=8), st.integers(0, 7))
@settings(deadline=None, max_examples=settings.default.max_examples // 4)
def test_a_disk_from_before_a_rewrite_of_the_changelog(log: list[Record], saves: list[int], stale_from: int) -> None:
    """The disk was away while the changelog was written anew and its beginning deleted."""
    with tempfile.TemporaryDirectory() as folder:
        changelog = Log()
        state = new_state()
        away = None
        for number, save in enumerate(sorted(saves)):
            state.fold([record for record in log[:save] if record.offset >= state.position])
            if number == stale_from:
                Owner(Path(folder), changelog, b"away").close()
                away = len(changelog.records)
                state.start_rewrite()
            changelog.write(list(encode(state.checkpoint(), b"w")))
        if away is not None:
            changelog.begin = away
        last = Owner(Path(folder), changelog, b"last")
        last.state.fold(log)
        whole = new_state()
        whole.fold(log)
        assert _open(facts(last.state), last.state.watermark) == _open(facts(whole), last.state.watermark)
        last.close()


def test_what_is_settled_leaves_a_disk_that_was_made_again_from_the_changelog(tmp_path: Path) -> None:
    changelog = Log()
    owner = Owner(tmp_path / "a", changelog, b"a")
    later = START + 3 * 3_600_000
    owner.state.fold([Record(0, START, None, event(0, "u", "look", START))])
    owner.state.fold([Record(1, later, None, event(1, "u", "look", later))])
    owner.save(False, 1)
    owner.state.changed_rows(later)
    owner.state.published()
    owner.state.expire()
    owner.save(False, 1)
    owner.close()
    again = Owner(tmp_path / "b", changelog, b"b")
    hours = {key.start for key in again.state.activity.accumulators if key.grain == "hour"}
    assert hours == {later - later % 3_600_000}
    kept = len(list(again.disk.keys(b"\x95\xa1a")))
    again.state.fold([Record(2, later, None, event(2, "u", "look", later))])
    again.save(False, 1)
    assert len(list(again.disk.keys(b"\x95\xa1a"))) < kept
    assert {key.start for key in again.state.activity.accumulators if key.grain == "hour"} == hours
    again.close()


def test_entries_leave_memory_once_they_are_on_disk_and_the_disk_once_they_expire(tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    entries = DiskEntries(disk, b"\x95\xa1f")
    old = (1_000).to_bytes(8, "little") + (5).to_bytes(4, "little") + b"\x01\x00\x01"  # until 6,000
    entries["ann"] = old
    disk.apply(7, {}, [(b"\x95\xa1f\xa3ann", old)], 0)
    entries.written("ann", old)
    assert (entries._recent, entries.get("ann"), list(entries.actors())) == ({}, old, ["ann"])
    assert entries.drop_expired(6_001, {"ann"}) == 0
    assert entries.drop_expired(6_000, set()) == 0
    assert entries.drop_expired(6_001, set()) == 1
    assert entries.get("ann") is None
    disk.close()


def test_a_folder_in_use_is_a_clear_mistake(tmp_path: Path) -> None:
    first = Disk(tmp_path)
    with pytest.raises(UserError, match="each worker needs a PIPELINE_STATE_DIR of its own"):
        Disk(tmp_path)
    first.close()


def test_a_checkpoint_that_was_half_there_is_read_again_from_its_beginning(tmp_path: Path) -> None:
    changelog = Log()
    writer = new_state()
    values = [b'{"event_id":"%d","event":"join","user_id":"u%d","ts":1790000000000}' % (n, n) for n in range(4)]
    writer.fold(numbered(values)[:2])
    first = list(encode(writer.checkpoint(), b"w"))
    writer.fold(numbered(values))
    checkpoint = writer.checkpoint()
    half = len(checkpoint.entries) // 2
    one, two = _parts(checkpoint, [checkpoint.entries[:half], checkpoint.entries[half:]], b"w")
    changelog.write([one, *first])
    owner = Owner(tmp_path, changelog, b"a")
    assert owner.state.position == 2
    owner.close()
    changelog.write([two])
    owner = Owner(tmp_path, changelog, b"a")
    assert facts(owner.state) == facts(writer)
    owner.close()
