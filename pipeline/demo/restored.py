"""A back-up into the folder of an `up` that has not been yet."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pipeline.backup.give import Restored, restore
from pipeline.backup.repository import Repository
from pipeline.demo.system import System
from pipeline.errors import UserError
from pipeline.settings import Settings


async def restore_into(
    settings: Settings, folder: Path, data: Path, name: str | None, say: Callable[[str], None]
) -> Restored:
    """Restore with the servers that `up` would start on `data`, which end then. Raises UserError if it isn't empty."""
    _refuse_folder(data)
    repository = Repository(folder)
    repository.check(*repository.manifest(name))  # before anything is started
    async with System(settings, data, only_servers=True) as system:
        return await restore(system.settings, folder, data, name, say)


def _refuse_folder(data: Path) -> None:
    try:
        if data.is_dir() and any(data.iterdir()):
            raise UserError(f"{data} is not empty: restore into a new folder")
    except OSError as exc:
        raise UserError(f"the folder {data} can't be used: {exc.strerror}") from None
