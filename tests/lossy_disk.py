"""A disk whose power can be cut: what it was not told to keep (fsync) and has not written by itself by then is lost.

A file system on a loop device: the file behind it holds what has reached "the disk", the kernel's page cache holds the
rest. A copy of that file, taken while nothing runs and nothing is written, is the disk after the power cut. Its tests
ask for `needs_loop`.
"""

from __future__ import annotations

import subprocess
from pathlib import Path


class LossyDisk:
    """An ext4 of `mib` MiB at `folder`, its images in the folder `images`. `close` takes it away."""

    def __init__(self, folder: Path, images: Path, mib: int = 3072) -> None:
        self.folder, self._images, self._cuts = folder, images, 0
        folder.mkdir(parents=True, exist_ok=True)
        images.mkdir(parents=True, exist_ok=True)
        with open(self._image, "wb") as file:
            file.truncate(mib << 20)
        # Nothing that the kernel would go on to write by itself.
        _run("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", "-N", "20000", str(self._image))
        self._mount()

    def snapshot(self) -> None:
        """Note what the disk has kept by now, for `lose`. Whoever writes to it has to be frozen."""
        while True:
            before = self._written()
            _run("cp", "--sparse=always", str(self._image), str(self._next))
            if self._written() == before:
                return

    def lose(self) -> None:
        """Go back to what was noted, as after a power cut: nothing may run on it any more."""
        _run("umount", str(self.folder))
        self._image.unlink()
        self._cuts += 1
        self._mount()

    def close(self) -> None:
        """Take it away."""
        _run("umount", "--lazy", str(self.folder))
        self._image.unlink()

    @property
    def _image(self) -> Path:
        return self._images / f"disk{self._cuts}.ext4"

    @property
    def _next(self) -> Path:
        return self._images / f"disk{self._cuts + 1}.ext4"

    def _mount(self) -> None:
        _run("mount", "-o", "loop", str(self._image), str(self.folder))

    def _written(self) -> tuple[str, str]:
        """Sectors written to the device up to now, and what is on its way."""
        line = next(line for line in Path("/proc/mounts").read_text().splitlines() if f" {self.folder} " in line)
        stat = Path("/sys/block", Path(line.split()[0]).name, "stat").read_text().split()
        return stat[6], stat[8]


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
