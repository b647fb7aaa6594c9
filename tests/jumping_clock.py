"""A wall clock that jumps under running processes: Python's, Kafka's, whatever asks the C library what time it is.

Not that of ClickHouse, whose engine asks the kernel itself. Its tests ask for `needs_compiler`.
"""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

_SOURCE = Path(__file__).with_name("jumping_clock.c")
_SHIFT = struct.Struct("q")


class JumpingClock:
    """The clock of processes that are started with `variables`; its files are in `folder`."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file, library = folder / "clock", folder / "jumping_clock.so"
        subprocess.run(
            ["cc", "-O1", "-Wall", "-Werror", "-shared", "-fPIC", "-o", str(library), str(_SOURCE), "-ldl"], check=True
        )
        self.jump(0)
        self.variables = {"LD_PRELOAD": str(library), "JUMPING_CLOCK": str(self._file)}

    @property
    def ahead(self) -> int:
        """How far it is ahead of the true time, seconds."""
        return int(_SHIFT.unpack(self._file.read_bytes())[0])

    def jump(self, ahead: int) -> None:
        """From now on it is so many seconds ahead of the true time; behind if negative."""
        # The same file, for it is mapped.
        with open(self._file, "r+b" if self._file.exists() else "wb") as file:
            file.write(_SHIFT.pack(ahead))
