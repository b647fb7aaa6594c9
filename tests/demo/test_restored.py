"""A back-up into the folder of an `up`: what is looked at before anything is fetched or started."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from backup.test_repository import committed

from pipeline.demo.restored import restore_into
from pipeline.errors import UserError
from pipeline.settings import Settings


class _Fetched(Exception):
    """Kafka would be fetched now."""


def _restore(tmp_path: Path, data: Path) -> None:
    def kafka() -> None:
        (data / ".cache").mkdir(parents=True)
        raise _Fetched

    asyncio.run(restore_into(Settings(), tmp_path / "back-ups", data, None, lambda _: None, kafka))


def test_kafka_is_fetched_once_all_else_is_known_to_be_well(tmp_path: Path) -> None:
    """The folder may be the home of its user, to which Kafka is fetched: that made it one that isn't empty."""
    used = tmp_path / "used"
    used.mkdir()
    (used / "plan.yaml").touch()
    with pytest.raises(UserError, match=r"used is not empty: restore into a new folder$"):
        _restore(tmp_path, used)
    with pytest.raises(UserError, match=r"^there is no whole back-up in "):
        _restore(tmp_path, tmp_path / "new")
    committed(tmp_path / "back-ups")
    with pytest.raises(_Fetched):
        _restore(tmp_path, tmp_path / "new")
