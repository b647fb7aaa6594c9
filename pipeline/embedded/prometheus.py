"""A Prometheus that evaluates a plan's alerts on this machine, if the program is installed."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from pipeline.alerts import rules
from pipeline.alerts.prometheus import PrometheusClient
from pipeline.embedded.child import Child, free_port
from schemas.plan import Plan
from schemas.translatable import Sentence

_READY_SECONDS: Final = 60.0
#: For a whole request, and for a connection without one. Its own default is 5 minutes.
_READ_SECONDS: Final = 10


class Prometheus:
    """The program with the plan's rules, scraping roles; everything in `folder`. `async with` ends it.

    `interval` (ms) is how often it scrapes and evaluates. `alertmanager` is the `host:port` of one to tell.
    `held` are locks.
    """

    def __init__(
        self, folder: Path, plan: Plan, *, interval: int = 5_000, alertmanager: str | None = None, rule_text: str = "",
        kept: int | None = None, held: Sequence[int] = (),
    ) -> None:  # fmt: skip
        self._folder, self._interval, self._alertmanager = folder, interval, alertmanager
        self._rules = rule_text or rules.text(plan, interval)
        self._targets: dict[str, str] = {}
        self._process: Child | None = None
        self._ready = False
        #: Where it listens, or has listened at an earlier start.
        self.port, self._held = kept, held
        #: Asks it.
        self.client = PrometheusClient("")

    @staticmethod
    def installed() -> bool:
        """Whether the program is on this machine."""
        return shutil.which("prometheus") is not None

    async def __aenter__(self) -> Prometheus:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Start the program; again where it listened before. Raises UserError if it doesn't come up."""
        self._ready = False
        self._folder.mkdir(parents=True, exist_ok=True)
        self._write("rules.yml", self._rules)
        self._write_targets()
        self._write("prometheus.yml", yaml.safe_dump(self._config(), sort_keys=False))
        port, _ = free_port(None, self.port)
        self.client, self.port = PrometheusClient(f"http://127.0.0.1:{port}"), port
        command = [
            "prometheus", f"--config.file={self._folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={self._folder / 'data'}", "--storage.tsdb.retention.time=100y",
            f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn",
            f"--web.read-timeout={_READ_SECONDS}s",
            # By default pages of any site may read what it answers.
            f"--web.cors.origin=http://127[.]0[.]0[.]1:{port}",
        ]  # fmt: skip
        log = self._folder / "prometheus.log"
        self._process = Child(Sentence("Prometheus"), command, log, death_signal=signal.SIGTERM, held=self._held)
        self._process.start()
        await self._process.wait_ready(self.client.ready, _READY_SECONDS)
        self._ready = True

    async def stop(self) -> None:
        """Stop the program; its data stay."""
        if self._process is not None:
            await self._process.stop()

    def kill(self) -> None:
        """Kill the program at once, as a crash would."""
        if self._process is not None:
            self._process.kill()

    async def answers(self) -> bool:
        """Whether it gives a sign of life."""
        return await self.client.ready()

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._process.pid if self._process else None

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.running

    @property
    def ended(self) -> str:
        """How it ended, in words."""
        return self._process.ended if self._process else "stopped"

    def load(self, plan: Plan) -> bool:
        """Evaluate the alerts of that plan from now on; whether that changes anything. Raises OSError."""
        text = rules.text(plan, self._interval)
        if text == self._rules:
            return False
        self._rules = text
        self._write("rules.yml", text)
        if self._ready and self.running and self.pid is not None:
            # It reads its rules again. One that is being started finds them.
            os.kill(self.pid, signal.SIGHUP)
        return True

    def scrape(self, targets: Mapping[str, str]) -> None:
        """What to scrape from now on: name of the role to its `http://host:port`."""
        if dict(targets) == self._targets:
            return
        self._targets = dict(targets)
        self._write_targets()

    @property
    def url(self) -> str:
        """Where it listens."""
        return self.client.url

    def _config(self) -> dict[str, Any]:
        every = f"{self._interval}ms"
        config: dict[str, Any] = {
            "global": {"scrape_interval": every, "scrape_timeout": every, "evaluation_interval": every},
            "rule_files": [str(self._folder / "rules.yml")],
            "scrape_configs": [
                {
                    "job_name": "streamgauge",
                    # The file is watched: roles start after Prometheus.
                    "file_sd_configs": [{"files": [str(self._folder / "targets.json")], "refresh_interval": "1s"}],
                }
            ],
        }
        if self._alertmanager is not None:
            config["alerting"] = {"alertmanagers": [{"static_configs": [{"targets": [self._alertmanager]}]}]}
        return config

    def _write_targets(self) -> None:
        found = [
            {"targets": [url.removeprefix("http://")], "labels": {"job": job}} for job, url in self._targets.items()
        ]
        self._write("targets.json", json.dumps(found))

    def _write(self, name: str, text: str) -> None:
        temporary = self._folder / f".{name}"
        temporary.write_text(text, "utf-8")
        os.replace(temporary, self._folder / name)
