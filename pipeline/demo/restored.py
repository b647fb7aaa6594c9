"""A back-up into the folder of an `up` that has not been yet."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from pipeline.backup.give import Restored, restore
from pipeline.backup.repository import Repository
from pipeline.demo.folder import name_stream
from pipeline.demo.system import System
from pipeline.embedded.kafka.server import Program
from pipeline.embedded.users import private_folder
from pipeline.errors import UserError
from pipeline.settings import Settings
from schemas.translatable import Foreign

#: In a folder into which a back-up is being restored.
_HALF: Final = "restore-is-not-done"


async def restore_into(
    settings: Settings,
    folder: Path,
    data: Path,
    name: str | None,
    say: Callable[[str], None],
    kafka: Callable[[], Program | None],
) -> Restored:
    """Restore with the servers that `up` would start on `data`, which end then. Raises UserError if it isn't empty.

    `kafka` finds the one to be started. It may fetch it, into the home of whoever runs this: that may be `data`.
    """
    _refuse_folder(data)
    repository = Repository(folder)
    repository.check(*repository.manifest(name))  # before anything is started
    program = kafka()
    private_folder(data)
    mark = data / _HALF
    mark.touch(mode=0o600)
    async with System(settings, data, only_servers=True, kafka=program) as system:
        given = await restore(system.settings, folder, data, name, say)
        if given.live:
            # The log has a new name of its own, and offsets of the one that was backed up.
            name_stream(data, system.settings.stream, given.settings.stream)
    mark.unlink()
    return given


def refuse_half(data: Path) -> None:
    """Raise UserError if a restore into the folder was broken off: it has a part of a back-up."""
    if (data / _HALF).exists():
        raise UserError("a restore into {folder} was broken off: remove the folder, and restore again", folder=data)


def _refuse_folder(data: Path) -> None:
    try:
        if data.is_dir() and any(data.iterdir()):
            raise UserError("{folder} is not empty: restore into a new folder", folder=data)
    except OSError as exc:
        raise UserError("the folder {folder} can't be used: {why}", folder=data, why=Foreign(exc.strerror)) from None
