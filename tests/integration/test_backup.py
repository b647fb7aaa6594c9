"""`streamgauge backup` and `restore` with the embedded parts, whose broker keeps nothing: what is stored comes back."""

from __future__ import annotations

import asyncio
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from whole_system import Start, command, rows, until

from pipeline.backup.repository import Repository
from pipeline.clickhouse.client import Connection
from pipeline.demo.system import System
from pipeline.embedded.clickhouse import EmbeddedClickHouse
from pipeline.settings import Settings

pytestmark = pytest.mark.integration


async def run(*words: str, code: int = 0) -> Any:
    done = await asyncio.to_thread(command, *words)
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout) if code == 0 else done.stderr


def events(first: int, count: int) -> str:
    now = int(time.time() * 1000)
    return "".join(
        json.dumps({"event_id": f"e{n}", "event": "share", "user_id": f"u{n}", "ts": now}) + "\n"
        for n in range(first, first + count)
    )


async def send(system: System, file: Path, first: int, count: int, total: int) -> None:
    file.write_text(events(first, count))
    env = {"PIPELINE_KAFKA_BOOTSTRAP": system.settings.kafka_bootstrap}
    await asyncio.to_thread(command, "send", str(file), env=env)

    async def arrived() -> bool:
        return bool(await rows(system, "SELECT count() FROM events") == [(total,)])

    await until(arrived, f"{total} stored events")


async def test_what_is_stored_comes_back_into_an_empty_folder_and_nothing_else(start: Start, tmp_path: Path) -> None:
    system = await start()
    kept, file = str(tmp_path / "kept"), tmp_path / "events.jsonl"
    await send(system, file, 0, 300, 300)
    first = await run("backup", kept, "--data", str(tmp_path), "--json")
    assert first["live"] is False
    await send(system, file, 300, 5, 305)
    second = await run("backup", kept, "--data", str(tmp_path), "--json")
    # Each part that the first one has is not written again.
    assert 0 < second["written"] < first["written"]
    assert second["rows"] > first["rows"]
    select = "SELECT event_id, user_id, ts, stored_at, partition, offset FROM events ORDER BY event_id"
    before = await rows(system, select)

    # A new folder, the newest back-up.
    new = tmp_path / "new"
    given = await run("restore", kept, "--data", str(new), "--json")
    assert (given["name"], given["rows"]) == (second["name"], second["rows"])
    assert (new / "sources.json").read_bytes() == (tmp_path / "sources.json").read_bytes()
    assert (new / "collect.key").read_bytes() == (tmp_path / "collect.key").read_bytes()
    async with EmbeddedClickHouse(new) as clickhouse:
        connection = Connection(Settings(**clickhouse.access))
        try:
            assert await connection.query(select) == before
        finally:
            await connection.close()

    # Not into a folder with something in it, and not from one that is damaged: in one line, and nothing is made.
    said = await run("restore", kept, "--data", str(new), code=2)
    assert said == f"streamgauge: {new} is not empty: restore into a new folder\n"
    repository = Repository(tmp_path / "kept")
    blob = max((tmp_path / "kept" / "blobs").glob("*/*"), key=lambda path: path.stat().st_size)
    os.truncate(blob, blob.stat().st_size - 1)
    said = await run("restore", kept, "--data", str(tmp_path / "third"), code=2)
    assert said == f"streamgauge: the back-up is damaged: {blob} does not have its checksum\n"
    assert not (tmp_path / "third").exists()
    # One that is broken off leaves its mark, and nobody starts on the folder.
    (new / "restore-is-not-done").touch()
    done = await asyncio.to_thread(command, "up", "--data", str(new))
    assert (done.returncode, done.stderr) == (
        2, f"streamgauge: a restore into {new} was broken off: remove the folder, and restore again\n"
    )  # fmt: skip
    # With --keep the older one goes.
    third = await run("backup", kept, "--data", str(tmp_path), "--keep", "1", "--json")
    assert repository.names() == [third["name"]]
