"""The disk of the tests loses what was not forced to it, and nothing else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from lossy_disk import LossyDisk


@pytest.mark.usefixtures("needs_loop")
def test_a_power_cut_loses_what_was_not_forced_to_the_disk(tmp_path: Path) -> None:
    disk = LossyDisk(tmp_path / "disk", tmp_path / "images", mib=64)
    try:
        with open(disk.folder / "forced", "wb") as file:
            file.write(b"kept")
            file.flush()
            os.fsync(file.fileno())
        folder = os.open(disk.folder, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
        (disk.folder / "written").write_bytes(b"lost")
        disk.snapshot()
        disk.lose()
        assert (disk.folder / "forced").read_bytes() == b"kept"
        assert not (disk.folder / "written").exists()
    finally:
        disk.close()
