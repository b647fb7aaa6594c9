"""A role of the system as a process of its own: started with the settings of the moment, asked how it is, ended."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import aiohttp

from pipeline.embedded.child import Child
from pipeline.process import address
from pipeline.settings import Settings
from schemas.translatable import Sentence

READY_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 12.0
_ANSWER_SECONDS: Final = 5.0
#: Who listens on every address is asked on the loopback one.
_LOOPBACK: Final = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}


class Role:
    """A worker, archiver, dashboard or front door process, and where it answers.

    `name` is its command, `title` what people call it. Its log is in `folder`. `listens` names the settings of where it
    listens: PIPELINE_METRICS_HOST, PIPELINE_METRICS_PORT.
    """

    def __init__(
        self, name: str, title: str, folder: Path, listens: Literal["metrics", "dashboard", "collect"] = "metrics"
    ) -> None:
        self.name, self.title, self._listens = name, title, listens
        self._log_file = folder / f"{name}.log"
        self.process: Child | None = None
        #: Where it listens, once started: people and other parts know it by then.
        self.url = ""
        self.port: int | None = None

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self.process is not None and self.process.running

    @property
    def ended(self) -> str:
        """How it ended, in words."""
        how = self.process.ended if self.process is not None else Sentence("stopped")
        return Sentence("{how}; see {log}", how=how, log=self._log_file)

    async def start(self, settings: Settings, port: int, held: Sequence[int]) -> None:
        """Start it on that port and wait until it answers. Raises UserError if it doesn't. `held` are locks."""
        host = getattr(settings, f"{self._listens}_host")
        secure = self._listens == "collect" and settings.collect_ssl_certfile is not None
        self.port = port
        self.url = f"{'https' if secure else 'http'}://{address(_LOOPBACK.get(host, host), port)}"
        env = {**os.environ, **settings.model_copy(update={f"{self._listens}_port": port}).environment()}
        env.pop("PIPELINE_CONFIG", None)  # what it said is in the variables
        command = [sys.executable, "-P", "-m", "pipeline.cli", self.name]
        self.process = Child(self.title, command, self._log_file, death_signal=signal.SIGTERM, env=env, held=held)
        self.process.start()
        await self.process.wait_ready(self.answers, READY_SECONDS)

    async def stop(self) -> None:
        """Stop it in order, within bounds."""
        if self.process is not None:
            await self.process.stop(_STOP_SECONDS)

    def kill(self) -> None:
        """Kill it at once, as a crash would."""
        if self.process is not None:
            self.process.kill()

    async def answers(self) -> bool:
        """Whether it gives a sign of life."""
        health = await self.ask("/health")
        return health is not None and self.gave(health)

    def gave(self, health: Mapping[str, Any]) -> bool:
        """Whether it was this process that answered so, and not another one that took its port before it could."""
        pid = health.get("pid")
        try:
            # A child of ours is the first of its session, or supervised by that one.
            return type(pid) is int and self.process is not None and os.getsid(pid) == self.process.pid
        except (OSError, OverflowError):
            return False

    async def ask(self, path: str) -> dict[str, Any] | None:
        """One of its JSON pages; None while it can't be reached."""
        body = await self.read(path)
        found: dict[str, Any] | None = json.loads(body) if body is not None else None
        return found

    async def read(self, path: str) -> bytes | None:
        """One of its pages; None while it can't be reached."""
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_ANSWER_SECONDS)) as session,
                session.get(self.url + path) as response,
            ):
                return await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError):
            return None
