"""A folder of a system on one machine: whose it is, and on which ports its parts listen, over restarts."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from pipeline.embedded.child import free_port
from pipeline.errors import UserError
from pipeline.whole_file import write_whole
from schemas.translatable import Foreign, Sentence, TranslatableValueError

#: How long the parts of one that was killed may take to end: a ClickHouse that finishes what it has begun.
_LEFT_SECONDS: Final = 60.0
_LOOK_SECONDS: Final = 0.1
#: What a start takes at the least: Kafka's indexes, a few parts of ClickHouse's.
_LEAST_BYTES: Final = 32 << 20


def no_room(folder: Path) -> str | None:
    """Why nothing that keeps data is to be started in a folder: its disk is as good as full. None if there is room."""
    found = os.statvfs(folder)
    free = found.f_bavail * found.f_frsize
    if free >= _LEAST_BYTES:
        return None
    return Sentence(
        "the disk of {folder} has {free} MiB left, {needed} are needed",
        folder=folder, free=free >> 20, needed=_LEAST_BYTES >> 20,
    )  # fmt: skip


@contextlib.asynccontextmanager
async def owned(folder: Path, say: Callable[[str], None]) -> AsyncIterator[int]:
    """Own a folder; gives the file that every part has to hold open.

    Raises UserError at once where another runs on it or its disk is full, and after a while where parts of one that was
    killed don't end.
    """
    if (full := no_room(folder)) is not None:
        raise UserError.of(full)
    with _file(folder / "up.lock") as own, _file(folder / "parts.lock") as parts:
        if not _locked(own):
            who = (folder / "up.lock").read_text().strip()
            raise UserError(
                "{folder} is in use by another `streamgauge up` or `demo` (process {who}): end that "
                "first, or use another --data",
                folder=folder,
                who=who,
            )
        os.ftruncate(own, 0)
        os.pwrite(own, str(os.getpid()).encode(), 0)
        deadline, said = time.monotonic() + _LEFT_SECONDS, False
        while not _locked(parts):
            if not said:
                say(Sentence("Waiting for the parts of one that was killed, which still use {folder} …", folder=folder))
                said = True
            if time.monotonic() > deadline:
                raise UserError(
                    "{folder} is still in use by parts of one that was killed: end them, then try again", folder=folder
                )
            await asyncio.sleep(_LOOK_SECONDS)
        yield parts


@contextlib.contextmanager
def _file(path: Path) -> Iterator[int]:
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as exc:
        raise UserError("the folder {path} can't be used: {why}", path=path.parent, why=Foreign(exc.strerror)) from None
    try:
        yield file
    finally:
        os.close(file)


def _locked(file: int) -> bool:
    """Whether the lock is ours now. It belongs to the open file, and so to whoever has inherited it as well."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class Ports:
    """On which ports the parts of a folder listen, by name; `keep` writes them down for the next start."""

    def __init__(self, file: Path) -> None:
        """Raises UserError if the file can't be understood."""
        self._file = file
        self._kept: dict[str, int] = {}
        try:
            found = json.loads(file.read_text("utf-8"))
            if not isinstance(found, dict) or not all(type(p) is int and 0 < p < 65536 for p in found.values()):
                raise TranslatableValueError("it is to be a port by name")
            self._kept = found
        except FileNotFoundError:
            pass
        except (OSError, ValueError) as exc:
            raise UserError(
                "{file} can't be read ({why}): remove it, and ports are chosen anew", file=file, why=exc
            ) from None

    def get(self, name: str) -> int | None:
        """Where a part has listened; None if it never has."""
        return self._kept.get(name)

    def check(self, names: Iterable[str]) -> None:
        """Raise UserError if another program has taken one of these: apps send there, so no other port will do."""
        for name in names:
            if (port := self._kept.get(name)) is None:
                continue
            try:
                free_port(None, port)
            except UserError:
                raise UserError(
                    "port {port} of this installation ({name}) is taken by another program: end that, or "
                    "remove {entry} from {file} to have another one chosen",
                    port=port,
                    name=name,
                    entry=repr(name),
                    file=self._file,
                ) from None

    def keep(self, ports: Mapping[str, int]) -> None:
        """Remember them from now on."""
        if (found := {**self._kept, **ports}) == self._kept:
            return
        self._kept = found
        write_whole(self._file, json.dumps(found, indent=1, sort_keys=True) + "\n", 0o644)
