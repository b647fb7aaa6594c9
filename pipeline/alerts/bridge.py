"""From Alertmanager to robots that it doesn't know: a small web server that turns its webhook into their messages.

It answers 200 only when the robot has taken the message: else Alertmanager tries again.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import aiohttp
from aiohttp import web
from clickhouse_connect.driver.exceptions import ClickHouseError
from pydantic import ValidationError

from pipeline.alerts import robots
from pipeline.alerts.explain import explain
from pipeline.alerts.message import Message, Notification, compose
from pipeline.alerts.texts import words_of
from pipeline.clickhouse.client import CONNECTION_ERRORS
from pipeline.errors import UserError
from pipeline.insight.contribution import SegmentChange
from pipeline.process import address, announce, stop_event
from pipeline.serve import guard
from pipeline.settings import Settings
from pipeline.terminal import say_lines
from schemas.plan import Plan
from schemas.receivers import Receiver, Robot
from schemas.translatable import Foreign

log = logging.getLogger(__name__)

MAX_BYTES: Final = 1 << 20
_SEND_SECONDS: Final = 10.0
#: A message without an explanation is better than one that comes late.
_EXPLAIN_SECONDS: Final = 8.0


class Bridge:
    """Serves `POST /RECEIVER` for the plan's receivers of the kinds feishu, dingtalk and print."""

    def __init__(
        self, settings: Settings, plan: Plan, host: str, port: int, clock: Callable[[], float] = time.time
    ) -> None:
        self._settings, self._plan, self._host, self._port, self._clock = settings, plan, host, port, clock
        self._runner: web.AppRunner | None = None
        self._session: aiohttp.ClientSession | None = None
        self.port = port

    async def start(self) -> None:
        """Listen. With port 0 any free port is taken; `port` says which. Raises UserError."""
        words_of(self._plan.alerting.language)  # a language that is none shows before anything has to be told
        door = guard.door(self._host, self._settings.allowed_hosts)
        app = web.Application(client_max_size=MAX_BYTES, middlewares=[guard.middleware(door)])
        app.router.add_post("/{receiver}", self._page)
        app.router.add_get("/health", self._health)
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_SEND_SECONDS))
        self._runner = guard.Runner(app)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port).start()
        except OSError as exc:
            await self.stop()
            raise UserError(
                "{address} can't be listened on ({why}): give --port",
                address=address(self._host, self._port),
                why=Foreign(exc.strerror),
            ) from None
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()
        if self._session is not None:
            await self._session.close()

    async def _health(self, _: web.Request) -> web.Response:
        return web.json_response({"role": "bridge", "ready": True})

    async def _page(self, request: web.Request) -> web.Response:
        name = request.match_info["receiver"]
        receiver = self._plan.alerting.receivers.get(name)
        if receiver is None or receiver.kind not in ("feishu", "dingtalk", "printed"):
            raise web.HTTPNotFound(text=f"no receiver {name} of the plan is served here\n")
        # A page can send text to any address; JSON only where it is asked first, and nobody answers that.
        if request.content_type != "application/json":
            raise web.HTTPUnsupportedMediaType(text="send it as application/json, as Alertmanager does\n")
        try:
            notification = Notification.model_validate_json(await request.read())
        except ValidationError as exc:
            raise web.HTTPBadRequest(text=f"not what Alertmanager sends: {exc.error_count()} mistakes\n") from None
        message = compose(notification, self._plan, await self._explained(notification))
        problem = await self._deliver(name, receiver, message)
        if problem is not None:
            log.error("%s was not told: %s", name, problem)
            raise web.HTTPBadGateway(text=f"{problem}\n")
        return web.json_response({"told": name})

    async def _explained(self, notification: Notification) -> dict[str, SegmentChange]:
        """By alert: what explains it, as far as ClickHouse can be asked."""
        found: dict[str, SegmentChange] = {}
        names = {alert.name for alert in notification.alerts if alert.status == "firing"}
        for name in sorted(names & self._plan.alerting.alerts.keys()):
            alert = self._plan.alerting.alerts[name]
            if alert.by:
                continue
            work = explain(self._settings, self._plan, alert, int(self._clock() * 1000))
            try:
                segment = await asyncio.wait_for(work, _EXPLAIN_SECONDS)
            except (*CONNECTION_ERRORS, ClickHouseError) as exc:
                log.warning("%s is told without an explanation: %s", name, str(exc)[:300] or type(exc).__name__)
                continue
            if segment is not None:
                found[name] = segment
        return found

    async def _deliver(self, name: str, receiver: Receiver, message: Message) -> str | None:
        """Send; what went wrong, if it did."""
        robot = receiver.feishu or receiver.dingtalk
        if robot is None:
            say_lines([message.title, *message.lines, *filter(None, [message.link]), ""])
            return None
        try:
            url, secret = _secrets(robot)
        except OSError as exc:
            return f"alerting.receivers.{name}: {exc.filename} can't be read ({exc.strerror})"
        if receiver.feishu is not None:
            wanted = robots.feishu(message, url, secret, self._clock(), self._plan.alerting.language)
        else:
            wanted = robots.dingtalk(message, url, secret, self._clock())
        assert self._session is not None
        try:
            async with self._session.post(wanted.url, json=wanted.body) as response:
                answer: Any = json.loads(await response.content.read(MAX_BYTES)) if response.status == 200 else None
                status = response.status
        except (aiohttp.ClientError, TimeoutError, ValueError) as exc:
            # The address is a secret: only what kind of trouble it was.
            return f"the robot of {name} can't be reached ({type(exc).__name__})"
        if status != 200:
            return f"the robot of {name} answers {status}"
        problem = robots.refused(answer)
        return f"the robot of {name} refuses: {problem}" if problem else None


def _secrets(robot: Robot) -> tuple[str, str | None]:
    """Read anew for each message: whoever changes a secret needs no restart."""
    url = Path(robot.url_file).read_text("utf-8").strip()
    secret = Path(robot.secret_file).read_text("utf-8").strip() if robot.secret_file else None
    return url, secret


async def run_bridge(settings: Settings, plan: Plan, host: str, port: int) -> None:
    """Pass alerts on to robots until SIGTERM."""
    bridge = Bridge(settings, plan, host, port)
    stop = stop_event()
    await bridge.start()
    announce("bridge", metrics_port=bridge.port)
    try:
        await stop.wait()
    finally:
        await bridge.stop()
