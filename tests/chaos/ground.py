"""The servers that roles run against: Apache Kafka, and ClickHouse (chDB behind its HTTP interface)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kafka_harness import KafkaServer, TcpProxy, free_port, spawn

from pipeline.embedded.clickhouse import environment_of
from pipeline.embedded.users import read_users, users_file

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 60.0


def environment() -> dict[str, str]:
    """Of every process of ours: this checkout's code, and no settings of whoever runs the tests."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("PIPELINE_")}
    return {**own, "PYTHONPATH": str(ROOT)}


class ClickHouse:
    """The embedded ClickHouse as a process that can be stopped, killed and frozen. All methods block."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.log = folder / "clickhouse.log"
        self._path = folder / "clickhouse"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The direct way, past all proxies."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def access(self) -> dict[str, Any]:
        """The settings of a role that uses it, past all proxies."""
        return {"clickhouse_url": self.url, "clickhouse_password": read_users(users_file(self._path))["default"]}

    @property
    def running(self) -> bool:
        """Whether the process is there (frozen or not)."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start on the data that is there; returns when it answers."""
        command = [sys.executable, "-P", "-m", "pipeline.embedded.clickhouse"]
        command += ["--path", str(self._path), "--port", str(self.port)]
        self._process = spawn(command, self.log, {**environment(), **environment_of(self._path)})
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if not self.running or time.monotonic() > deadline:
                raise RuntimeError(f"ClickHouse did not start: {self.log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.05)

    def stop(self) -> None:
        """SIGTERM, and wait."""
        self._signal(signal.SIGTERM)
        self._wait()

    def kill(self) -> None:
        """SIGKILL, as a crash would end it."""
        self._signal(signal.SIGKILL)
        self._wait()

    def pause(self) -> None:
        """Freeze it: connections stay open, nothing is answered."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Undo `pause`."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)

    def _wait(self) -> None:
        if self._process is not None:
            self._process.wait(60)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/ping", timeout=2) as answer:
                return bool(answer.read().startswith(b"Ok"))
        except OSError:
            return False


class Ground:
    """Kafka and ClickHouse, each behind as many proxies as roles may run at once. `close` ends everything."""

    def __init__(self, folder: Path, ways: int) -> None:
        self.to_kafka: Sequence[TcpProxy] = [TcpProxy() for _ in range(ways)]
        self.to_clickhouse: Sequence[TcpProxy] = [TcpProxy() for _ in range(ways)]
        folder.mkdir(parents=True, exist_ok=True)
        self.kafka = KafkaServer(folder / "kafka", proxies=self.to_kafka)
        self.clickhouse = ClickHouse(folder)
        for proxy in self.to_clickhouse:
            proxy.target = ("127.0.0.1", self.clickhouse.port)

    def start(self) -> None:
        """Start both servers; returns when they answer."""
        try:
            self.kafka.start()
            self.clickhouse.start()
        except BaseException:
            self.close()
            raise

    def heal(self) -> None:
        """Everything runs and passes again."""
        for proxy in (*self.to_kafka, *self.to_clickhouse):
            proxy.heal()
        self.kafka.resume()
        self.clickhouse.resume()
        if not self.kafka.running:
            self.kafka.start()
        if not self.clickhouse.running:
            self.clickhouse.start()

    def close(self) -> None:
        """End the servers, whatever state they are in."""
        self.kafka.kill()
        self.clickhouse.kill()
        for proxy in (*self.to_kafka, *self.to_clickhouse):
            proxy.close()
