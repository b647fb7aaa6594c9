"""`streamgauge up` for months: each part is killed for real, comes back where it was, and no number is wrong."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from assistants.asking import assistant
from whole_system import ROOT, command

from pipeline.clickhouse.client import Connection
from pipeline.demo.supervisor import Patience
from pipeline.demo.system import System
from pipeline.demo.up import up
from pipeline.errors import DependencyError
from pipeline.settings import Settings

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("needs_embedded")]


class Up:
    """A running `streamgauge up` and what it has said."""

    def __init__(self, folder: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "pipeline.cli", "up", "--broker", "memory", "--data", str(folder)],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)}, start_new_session=True,
        )  # fmt: skip
        self.lines: list[str] = []
        self._changed = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._changed:
                self.lines.append(line.rstrip())
                self._changed.notify_all()

    def wait(self, words: str, seconds: float = 90) -> str:
        """The first line that matches."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while True:
                for line in self.lines:
                    if re.search(words, line):
                        return line
                left = deadline - time.monotonic()
                assert left > 0, f"{words!r} was not said: {self.lines}"
                self._changed.wait(left)

    def pid(self, words: str) -> int:
        """The child whose command line has these words."""
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit():
                try:
                    parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                    line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                except OSError:
                    continue
                if parent == self.process.pid and words in line:
                    return int(folder.name)
        raise AssertionError(f"no child {words}")

    def variables(self) -> dict[str, str]:
        """What it said to export, the last of each."""
        found = [re.search(r"export (PIPELINE_\w+)=([^\s)]+)", line) for line in self.lines]
        return {match[1]: match[2] for match in found if match}


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Up]:
    found = Up(tmp_path / "data")
    try:
        found.wait("Ctrl-C ends it")
        yield found
    finally:
        found.process.send_signal(signal.SIGINT)
        try:
            found.process.wait(40)
        finally:
            found.process.kill()
            found.process.wait()
            assert found.process.stdout is not None
            found.process.stdout.close()


def events(first: int, count: int) -> str:
    now = int(time.time() * 1000)
    return "".join(
        json.dumps({"event_id": f"e{n}", "event": "share", "user_id": f"u{n}", "ts": now}) + "\n"
        for n in range(first, first + count)
    )


def stored(running: Up) -> int:
    names = {name.removeprefix("PIPELINE_").lower(): value for name, value in running.variables().items()}

    async def ask() -> int:
        connection = Connection(Settings(**names))  # type: ignore[arg-type]
        try:
            return int(
                (await connection.run(lambda client: client.query("SELECT count() FROM events"))).result_rows[0][0]
            )
        finally:
            await connection.close()

    return asyncio.run(ask())


def send(running: Up, file: Path) -> None:
    done = command("send", str(file), env=running.variables())
    assert done.returncode == 0, done.stderr


def wait_stored(running: Up, count: int) -> None:
    deadline = time.monotonic() + 60
    while (found := stored(running)) != count:
        assert time.monotonic() < deadline, f"{found} of {count} are stored: {running.lines}"
        time.sleep(0.3)


def test_every_part_that_is_killed_comes_back_where_it_was_and_no_number_is_wrong(running: Up, tmp_path: Path) -> None:
    addresses = {
        "the dashboard": running.wait("^Dashboard ").split()[1],
        "the broker": running.wait("^Kafka ").split()[1],
        "ClickHouse": running.wait("^ClickHouse ").split()[1],
        "the worker": running.wait("^Metrics ").split()[1].removesuffix("/metrics"),
        "the archiver": running.wait("^Metrics ").split()[-1].removesuffix("/metrics)"),
    }
    file = tmp_path / "events.jsonl"
    file.write_text(events(0, 200))
    send(running, file)
    wait_stored(running, 200)
    parts = {"the dashboard": "cli dashboard", "the worker": "cli worker", "the archiver": "cli archiver",
             "ClickHouse": "embedded.clickhouse"}  # fmt: skip
    if shutil.which("prometheus"):
        parts["Prometheus"] = "prometheus --config"
        addresses["Prometheus"] = running.wait("^Alerts ").split()[1].removesuffix("/alerts")
    for name, words in parts.items():
        os.kill(running.pid(words), signal.SIGKILL)
        running.wait(f"{name} ended after .*killed by signal 9.*: starting it again")
        running.wait(f"{name} is back at {re.escape(addresses[name])}, after ")
    wait_stored(running, 200)
    # The broker's log is gone: what comes now has offsets from 0 again, and must replace nothing.
    before = running.variables()["PIPELINE_STREAM"]
    os.kill(running.pid("broker --storage-engine"), signal.SIGKILL)
    running.wait("the broker ended after .*: starting it again")
    running.wait("the broker had its log in memory: events that were not stored yet are gone")
    for name in ("the broker", "the worker", "the archiver", "the dashboard"):
        deadline = time.monotonic() + 90
        wanted = 2 if name in parts else 1
        while sum(f"{name} is back at {addresses[name]}, after" in line for line in running.lines) < wanted:
            assert time.monotonic() < deadline, running.lines
            time.sleep(0.1)
    assert running.variables()["PIPELINE_STREAM"] != before
    file.write_text(events(1000, 150))
    send(running, file)
    wait_stored(running, 350)
    deadline = time.monotonic() + 60
    while (done := command("verify", env=running.variables())).returncode != 0 or "150 records" not in done.stdout:
        assert time.monotonic() < deadline, done.stdout + done.stderr
    assert done.stdout.startswith("verify: no difference in ")


def test_an_assistant_asks_an_up_by_its_folder_as_the_user_that_only_reads(running: Up, tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    file.write_text(events(0, 3))
    send(running, file)
    wait_stored(running, 3)
    settings = tomllib.loads((tmp_path / "data" / "settings.toml").read_text())
    users = dict(line.split(":") for line in (tmp_path / "data" / "clickhouse.users").read_text().split())
    assert settings["dashboard_clickhouse_user"] == "reader"
    assert settings["dashboard_clickhouse_password"] == users["reader"]

    async def ask() -> list[int]:
        async with assistant({"PYTHONPATH": str(ROOT)}, "--data", str(tmp_path / "data")) as asking:
            found = await asking.ask("run_metric", name="active_users_daily")
            return [row["users"] for row in found["rows"] if row["users"]]

    assert asyncio.run(ask()) == [3]


async def test_every_part_that_is_frozen_is_ended_and_comes_back_where_it_was(tmp_path: Path) -> None:
    """It runs, and answers nobody: the broker last, for the roles end with it."""
    said: list[str] = []
    patience = Patience(first_pause=0.2, look_every=0.1, ask_every=0.5, answer_within=5.0, questions=2)
    others = _children("")  # servers of other tests in this process
    async with System(Settings(), tmp_path, patience=patience, say=said.append) as system:
        await system.wait_ready()
        found = [("the archiver", "cli archiver"), ("the worker", "cli worker"), ("the dashboard", "cli dashboard"),
                 ("ClickHouse", "embedded.clickhouse"), ("the broker", "broker --storage-engine")]  # fmt: skip
        for name, words in found:
            before = len(said)
            [pid] = _children(words) - others
            os.kill(pid, signal.SIGSTOP)
            deadline = time.monotonic() + 90
            while not any(line.startswith(f"{name} is back at ") for line in said[before:]):
                assert time.monotonic() < deadline, said
                await asyncio.sleep(0.1)
            [told] = [line for line in said[before:] if line.startswith(f"{name} ended after ")]
            assert re.search(r"it gave no answer for \d+ s, to 2 questions, and was killed", told), told
        await system.wait_ready()
        assert system.away == []


async def test_a_part_whose_port_was_taken_meanwhile_ends_it_after_some_tries(tmp_path: Path) -> None:
    said: list[str] = []
    patience = Patience(tries=2, first_pause=0.5, look_every=0.1)
    async with System(Settings(), tmp_path, patience=patience, say=said.append) as system:
        await system.wait_ready()
        port = system.worker.port
        assert port is not None
        assert system.worker.process is not None
        with socket.socket() as holder:
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            system.worker.process.kill()
            deadline = time.monotonic() + 10
            while True:
                try:
                    holder.bind(("127.0.0.1", port))
                    break
                except OSError:
                    assert time.monotonic() < deadline
            holder.listen()
            with pytest.raises(DependencyError) as caught:
                await asyncio.wait_for(system.supervision, 60)
        assert re.fullmatch(
            rf"the worker can't be kept running, 2 tries in \d+ s failed: port {port} is taken by another program",
            str(caught.value),
        )
        assert system.away == ["the worker"]
        assert system.worker.url == f"http://127.0.0.1:{port}"


async def test_a_role_that_dies_while_it_starts_is_told_with_its_own_words(tmp_path: Path) -> None:
    said: list[str] = []
    patience = Patience(tries=2, first_pause=0.2, look_every=0.1)
    async with System(Settings(), tmp_path, patience=patience, say=said.append) as system:
        await system.wait_ready()
        plan = tmp_path / "plan.yml"
        plan.write_text("product: Test\nevents: {look: {}}\n")
        system.settings = system.settings.model_copy(update={"plan": str(plan)})
        plan.write_text("product: [")  # it is read anew by whoever starts
        system.archiver.kill()
        with pytest.raises(DependencyError) as caught:
            await asyncio.wait_for(system.supervision, 60)
    assert re.match(
        rf"the archiver can't be kept running, 2 tries in \d+ s failed: .*{re.escape(str(plan))}", str(caught.value)
    )
    assert [re.sub(r"\d+ s", "N s", line).partition(": ")[0] for line in said] == [
        f"the archiver ended after N s (killed by signal 9; see {tmp_path}/archiver.log)",
        "the archiver could not be started (try 1 of 2)",
        "the archiver could not be started (try 2 of 2)",
    ]


async def test_a_part_that_can_not_live_ends_up(tmp_path: Path) -> None:
    """What the supervisor raises is not lost in a task that nobody waits for."""
    task = asyncio.create_task(up(Settings(), tmp_path, True, True, Patience(tries=0, look_every=0.1), "memory"))
    deadline = time.monotonic() + 60
    while not (tmp_path / "dashboard.log").exists():
        assert time.monotonic() < deadline
        assert not task.done()
        await asyncio.sleep(0.1)
    [archiver] = _children("cli archiver")
    os.kill(archiver, signal.SIGKILL)
    with pytest.raises(DependencyError, match="the archiver can't be kept running, 0 tries in 0 s failed: killed by"):
        await asyncio.wait_for(task, 60)


def _children(words: str) -> set[int]:
    """Our child processes whose command has these words."""
    return {
        int(folder.name) for folder in Path("/proc").iterdir() if folder.name.isdigit() and _is_child(folder, words)
    }


def _is_child(folder: Path, words: str) -> bool:
    try:
        parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        return parent == os.getpid() and words in (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return False
