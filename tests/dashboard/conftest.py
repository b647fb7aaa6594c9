"""A whole system with a dashboard for the tests: days of the past in ClickHouse, and known events live."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import commands
import pytest

from dashboard.browser import WIDE, Browser, chromium
from pipeline.embedded.child import free_port

ROOT = Path(__file__).resolve().parents[2]
#: The past of the tests: a fault of one step on one platform in its last days.
DAYS, EVENTS = 21, 80_000


@dataclass
class Running:
    """`streamgauge up` as a process, and where its parts are."""

    dashboard: str
    clickhouse: str
    kafka: str
    worker: str
    env: dict[str, str] = field(default_factory=dict)
    #: Its `--data`.
    folder: Path = Path()

    def command(self, *arguments: str, timeout: float = 120) -> str:
        """Run `streamgauge` against this system; its output."""
        done = commands.run([*arguments], self.env, timeout)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def rows(self, sql: str) -> list[list[Any]]:
        """The rows of a query, asked over HTTP as any client would."""
        request = urllib.request.Request(
            f"{self.clickhouse}/?database=streamgauge&default_format=JSONCompact&output_format_json_quote_64bit_integers=0",
            data=sql.encode(),
            headers={
                "X-ClickHouse-User": self.env["PIPELINE_CLICKHOUSE_USER"],
                "X-ClickHouse-Key": self.env["PIPELINE_CLICKHOUSE_PASSWORD"],
            },
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            found: list[list[Any]] = json.load(answer)["data"]
        return found

    def live(self) -> dict[str, Any]:
        """What the worker says."""
        with urllib.request.urlopen(f"{self.worker}/live", timeout=10) as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    def send(self, folder: Path, events: list[dict[str, Any]]) -> None:
        """Produce events, as a person would from a file."""
        path = folder / "events.jsonl"
        path.write_text("\n".join(json.dumps(event) for event in events) + "\n", "utf-8")
        self.command("send", str(path), "--kafka", self.kafka)


# Of a module: until the end of all tests it would go on working.
@pytest.fixture(scope="module")
def running(needs_embedded: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("dashboard")
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "pipeline.cli", "up", "--data", str(folder)],
        stdout=subprocess.PIPE, text=True, env=env, start_new_session=True,
    )  # fmt: skip
    try:
        said = _until_started(process)
        found = {
            name: re.search(rf"^{name}\s+(\S+)", said, re.M) for name in ("Dashboard", "Kafka", "ClickHouse", "Metrics")
        }
        where = {name: match[1] for name, match in found.items() if match}
        env |= dict(re.findall(r"export (PIPELINE_\w+)=(\S+)", said))
        system = Running(
            where["Dashboard"],
            where["ClickHouse"],
            where["Kafka"],
            where["Metrics"].removesuffix("/metrics"),
            env,
            folder,
        )
        system.command("simulate", "--days", str(DAYS), "--events", str(EVENTS), "--seed", "5", "--insert",
                       "--fault", _fault())  # fmt: skip
        yield system
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)


def _fault() -> str:
    start = time.strftime("%Y-%m-%dT00:00", time.gmtime(time.time() - 4 * 86_400))
    return f"step=pay platform=android from={start} factor=0.1"


def _until_started(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    said, watchdog = "", threading.Timer(90, process.kill)
    watchdog.start()
    try:
        while "Ctrl-C ends it" not in said:
            line = process.stdout.readline()
            assert line, f"it did not start: {said}"
            said += line
    finally:
        watchdog.cancel()
    return said


@pytest.fixture(scope="module")
def browser(running: Running) -> Iterator[Browser]:
    with chromium(running.dashboard) as found:
        yield found


@pytest.fixture
def plain(browser: Browser) -> Iterator[None]:
    """A test begins in English, light, on a wide screen, and ends without a complaint of the console."""
    browser.width(WIDE)
    browser.cookie("lang", "en")
    browser.cookie("theme", "light")
    browser.complaints()
    yield
    assert browser.complaints() == []
    assert browser.foreign_requests() == []


@pytest.fixture(scope="module")
def another(running: Running) -> Iterator[Browser]:
    """A second browser, for other dashboards: its `url` is theirs."""
    with chromium(running.dashboard) as found:
        yield found


@pytest.fixture(scope="module")
def start_dashboard(running: Running) -> Iterator[Callable[..., str]]:
    """Start a further dashboard with other settings; its address."""
    children: list[subprocess.Popen[str]] = []

    def start(**settings: str) -> str:
        port = str(free_port()[0])
        names = {f"PIPELINE_{name.upper()}": value for name, value in settings.items()}
        env = {**running.env, "PIPELINE_DASHBOARD_PORT": port, "PIPELINE_DASHBOARD_WORKERS": running.worker, **names}
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", "pipeline.cli", "dashboard"], stdout=subprocess.PIPE, text=True, env=env
        )
        children.append(child)
        assert child.stdout is not None
        line = child.stdout.readline()
        assert line, "the dashboard did not start"
        return f"http://127.0.0.1:{port}"

    yield start
    for child in children:
        child.send_signal(signal.SIGTERM)
        child.communicate(timeout=15)
        assert child.returncode == 0
