"""The doctor on a running system, with one fault after the other planted in it."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from pathlib import Path
from typing import Any

import pytest
from small_disk import small_disk
from whole_system import Start, command, rows, until

from pipeline.clickhouse.client import Connection
from pipeline.demo.system import System
from pipeline.process import cancelled

pytestmark = pytest.mark.integration


async def doctor(data: Path, *more: str) -> tuple[int, dict[str, Any]]:
    done = await asyncio.to_thread(command, "doctor", "--data", str(data), "--json", *more)
    assert done.returncode in (0, 1), done.stderr
    return done.returncode, json.loads(done.stdout)


def told(found: dict[str, Any], subject: str) -> list[tuple[str, str]]:
    return [(one["severity"], one["sentence"]) for one in found["advice"] if one["subject"] == subject]


async def _nothing_waits(system: System) -> bool:
    health = await system.archiver.ask("/health")
    return bool(health and health["ready"] and health["lag"] == 0)


async def test_each_planted_fault_is_named_and_a_system_without_one_is_well(start: Start, tmp_path: Path) -> None:
    system = await start()
    await until(lambda: _nothing_waits(system), "an archiver that has caught up")
    code, found = await doctor(tmp_path)
    assert (code, found["ok"]) == (0, True), found
    assert {"ports", "disk", "memory", "versions", "plan", "parts", "rejected", "front door"} <= set(found["fine"])
    # What the embedded broker does not tell is not said to be well.
    assert {one["severity"] for one in found["advice"]} == {"unknown"}
    assert ("unknown", "the clock of Kafka could not be looked at: there is no record yet") in told(found, "clocks")

    # A release of an app that broke the contract.
    file = tmp_path / "events.jsonl"
    now = int(time.time() * 1000)
    file.write_text("".join(json.dumps({"event_id": f"e{n}", "event": "buy", "user_id": "u", "ts": now}) + "\n"
                            for n in range(40)))  # fmt: skip
    env = {"PIPELINE_KAFKA_BOOTSTRAP": system.settings.kafka_bootstrap}
    done = await asyncio.to_thread(command, "send", str(file), env=env)
    assert done.returncode == 0, done.stderr

    async def stored() -> bool:
        return bool(await rows(system, "SELECT count() FROM rejected") == [(40,)])

    await until(stored, "40 rejected records")
    code, found = await doctor(tmp_path)
    assert code == 1
    [(severity, sentence)] = told(found, "rejected")
    assert severity == "warning"
    assert sentence.startswith(
        "100.0 % of the last hour's 40 records were rejected, most as unknown_event: the plan has no event 'buy'; it "
    )

    # Another plan than the roles' and the database's.
    code, found = await doctor(tmp_path, "--plan", "content")
    assert code == 1
    sentences = [sentence for _, sentence in told(found, "plan")]
    assert [sentence.split(" goes by another plan")[0] for sentence in sentences[:3]] == [
        "the worker", "the archiver", "the front door",
    ]  # fmt: skip
    assert "are those of the plan 'Demo shop'" in sentences[3]

    # A schema that lacks a migration, and a file of sources that is open to all.
    connection = Connection(system.settings)
    try:
        await connection.run(lambda c: c.command("DELETE FROM schema_migrations WHERE name = '0010_front_door.sql'"))
    finally:
        await connection.close()
    (tmp_path / "sources.json").chmod(0o644)
    code, found = await doctor(tmp_path)
    assert code == 1
    assert told(found, "versions") == [("error", "ClickHouse lacks 1 migrations: 0010_front_door.sql")]
    assert told(found, "front door") == [("warning", f"others of this machine can read {tmp_path}/sources.json")]

    # A dead worker, and another program at the archiver's place.
    assert system.worker.process is not None
    await cancelled(system.supervision)  # else it would be back at once
    await system.worker.process.stop()
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        port = stranger.getsockname()[1]
        answering = asyncio.create_task(asyncio.to_thread(_answer_rudely, stranger))
        code, found = await doctor(tmp_path, "--archiver", f"http://127.0.0.1:{port}")
        await answering
    assert code == 1
    assert [sentence for _, sentence in told(found, "ports")] == [
        f"nothing answers at {system.worker.url.removeprefix('http://')}, where the worker should be",
        f"at 127.0.0.1:{port}, the port of the archiver, another program answers",
    ]


def _answer_rudely(server: socket.socket) -> None:
    connection, _ = server.accept()
    with connection:
        connection.recv(1 << 16)
        connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")


def test_nothing_runs_and_the_disk_is_nearly_full(needs_mount: None, tmp_path: Path) -> None:
    """Kafka and ClickHouse are away: two errors, and the rest was not looked at. In Chinese too."""
    with small_disk(tmp_path / "small", 40) as folder:
        (folder / "settings.toml").write_text(
            'kafka_bootstrap = "127.0.0.1:1"\nclickhouse_url = "http://127.0.0.1:1"\ncollect_port = 1\n'
            'dashboard_workers = "http://127.0.0.1:1"\n'
        )
        done = command("doctor", "--data", str(folder))
        chinese = command("doctor", "--data", str(folder), "--lang", "zh")
    assert done.returncode == chinese.returncode == 1
    lines = done.stdout.splitlines()
    assert "ports: error: nothing answers at 127.0.0.1:1, where Kafka should be" in lines
    assert "ports: error: nothing answers at http://127.0.0.1:1, where ClickHouse should be" in lines
    assert any(line.startswith(f"disk: error: {folder} has ") and line.endswith("(100%)") for line in lines), lines
    assert next(line for line in lines if line.startswith("well: ")) == "well: memory, kept things"
    assert "端口：错误：127.0.0.1:1 无应答， Kafka 本该在这里" in chinese.stdout.splitlines()


def test_a_folder_without_an_installation_is_a_mistake_of_the_caller(tmp_path: Path) -> None:
    done = command("doctor", "--data", str(tmp_path))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"streamgauge: {tmp_path} has no settings.toml: it is written when "
        f"`streamgauge up --data {tmp_path}` is ready\n"
    )
