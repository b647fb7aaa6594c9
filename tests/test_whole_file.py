"""A file is the old or the new one, whole; after a power cut too."""

from __future__ import annotations

from pathlib import Path

import pytest
from lossy_disk import LossyDisk
from small_disk import fill, small_disk

from pipeline.whole_file import write_whole


def test_it_replaces_what_was_there_and_is_read_by_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "key"
    for text in ("one", "zwei", "三"):
        write_whole(file, text)
        assert file.read_text("utf-8") == text
        assert file.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [file]


def test_a_link_that_lies_in_its_way_is_not_followed(tmp_path: Path) -> None:
    other, file = tmp_path / "other", tmp_path / "key"
    other.write_text("mine")
    file.symlink_to(other)
    write_whole(file, "secret")
    assert (other.read_text(), file.read_text(), file.is_symlink()) == ("mine", "secret", False)


@pytest.mark.usefixtures("needs_mount")
def test_on_a_full_disk_the_old_one_stays(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 1) as disk:
        file = disk / "key"
        write_whole(file, "old")
        fill(disk, 0)
        with pytest.raises(OSError, match="No space left"):
            write_whole(file, "new" * 10_000)
        assert file.read_text() == "old"
        assert sorted(path.name for path in disk.iterdir()) == ["filler", "key"]


@pytest.mark.usefixtures("needs_loop")
def test_a_new_one_is_there_after_a_power_cut(tmp_path: Path) -> None:
    disk = LossyDisk(tmp_path / "disk", tmp_path / "images", mib=64)
    try:
        write_whole(disk.folder / "key", "secret")
        disk.snapshot()
        disk.lose()
        assert (disk.folder / "key").read_text() == "secret"
    finally:
        disk.close()
