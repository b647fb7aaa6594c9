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
from pipeline.kept.file import export
from pipeline.kept.store import Edit, KeptStore
from pipeline.kept.things import make
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


#: What is made in pages, as `kept import` reads it; the board a second time, so that it has a history.
MADE = """\
kept: 1
boards:
  weekly:
    title: %s
    filter: {address: {platform: ios}, days: 7}
    charts:
      - {key: a, title: Orders, address: {kind: trend, m1: count, e1: purchase, scale: log}, days: 30}
segments:
  often: {title: Often, address: {g: every, g1: did, g1e: purchase, g1c: gte, g1n: "2"}}
annotations:
  out: {at: "2026-11-20T14:00", text: App 2.4 is out}
alerts:
  few_orders_now: {metric: events, event: purchase, below: 5}
"""


def made_in_pages(folder: Path) -> tuple[str, list[tuple[int, str, str]], list[str]]:
    """What is kept: as a file, the versions of the board, what was removed."""
    store = KeptStore(folder / "kept.sqlite")
    try:
        history = [(one.number, one.who, one.value.title) for one in store.history("board", "weekly")]
        return export(store.read()), history, [id_ for id_, _ in store.removed("annotation")]
    finally:
        store.close()


async def test_what_is_stored_comes_back_into_an_empty_folder_and_nothing_else(start: Start, tmp_path: Path) -> None:
    system = await start()
    kept, file = str(tmp_path / "kept"), tmp_path / "events.jsonl"
    await send(system, file, 0, 300, 300)
    first = await run("backup", kept, "--data", str(tmp_path), "--json")
    assert first["live"] is False
    await send(system, file, 300, 5, 305)
    for title, who in (("Weekly", "ann"), ("每周", "bob")):
        (tmp_path / "made.yaml").write_text(MADE % title)
        await run("kept", "import", str(tmp_path / "made.yaml"), "--data", str(tmp_path), "--as", who, "--json")
    store = KeptStore(tmp_path / "kept.sqlite")
    gone = make("annotation", {"at": "2026-11-21", "text": "A mistake"})
    store.write([Edit("annotation", "gone", 0, gone)], "ann", 1)
    store.write([Edit("annotation", "gone", 1, None)], "ann", 2)
    store.close()
    in_pages = made_in_pages(tmp_path)
    assert in_pages[1:] == ([(2, "bob", "每周"), (1, "ann", "Weekly")], ["gone"])
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
    # Boards, segments, annotations and alerts, with their history; and what was removed can be had back there, too.
    assert made_in_pages(new) == in_pages
    assert (new / "kept.sqlite").stat().st_mode & 0o077 == 0
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
