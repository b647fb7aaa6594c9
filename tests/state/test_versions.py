"""A state of an older version is read, one of a newer version is refused in one line: never misread."""

from __future__ import annotations

from pathlib import Path

import msgpack
import pytest

from pipeline.errors import UserError
from pipeline.state.checkpoint import Checkpoint, MemorySnapshot, Restorer, encode
from pipeline.state.disk import Disk

META = {"watermark": 5, "totals": [1, 0, 0, 0], "reasons": {}}


def record(version: int) -> bytes:
    return msgpack.packb(((version, b"w", 7, 0, 1, META), [(b"\x91\xa1k", b"v")]))


def test_what_is_written_says_its_format() -> None:
    [written] = encode(Checkpoint(7, META, [(b"\x91\xa1k", b"v")]), b"w")
    assert msgpack.unpackb(written)[0][0] == 3


@pytest.mark.parametrize("version", [1, 2, 3])
def test_a_checkpoint_of_before_is_read(version: int) -> None:
    restorer = Restorer()
    restorer.add(record(version), 0)
    assert isinstance(restorer.snapshot, MemorySnapshot)
    assert restorer.snapshot.values == {b"\x91\xa1k": b"v"}
    assert restorer.snapshot.position == 7


@pytest.mark.parametrize("version", [0, 4, 5, 99])
def test_a_checkpoint_of_a_newer_version_is_refused(version: int) -> None:
    restorer = Restorer()
    with pytest.raises(UserError) as caught:
        restorer.add(record(version), 0)
    assert str(caught.value) == (
        f"the changelog holds a state of format {version}, this version of Streamgauge reads up to 3: go on with the "
        "version that wrote it, or count anew with another PIPELINE_GROUP"
    )
    assert restorer.snapshot.position is None


@pytest.mark.usefixtures("needs_rocksdb")
def test_a_folder_of_before_is_read_and_one_of_a_newer_version_refused(tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    disk.apply(7, META, [(b"\x91\xa1k", b"v")], 3)
    for written, offset in (((7, META, 3, 0), 3), ((7, META, 4, 0, 2), 4), ((7, META, 5, 0, 3), 5)):
        disk._db.put(b"meta", msgpack.packb(written))
        disk.close()
        disk = Disk(tmp_path)
        assert (disk.position, disk.offset, list(disk.items())) == (7, offset, [(b"\x91\xa1k", b"v")])
    disk._db.put(b"meta", msgpack.packb((7, META, 3, 0, 4, "what comes later")))
    disk.close()
    for _ in range(2):
        with pytest.raises(UserError, match=rf"^the folder {tmp_path} holds a state of format 4, this version "):
            Disk(tmp_path)
