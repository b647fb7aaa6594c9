"""The small web server of a worker or archiver. Loopback unless told otherwise.

`/metrics`, `/health` and `/openapi.json`; of a worker also `/live` and `/live/stream`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiohttp import web
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST as CONTENT_TYPE
from prometheus_client.openmetrics.exposition import generate_latest
from prometheus_client.registry import Collector

from pipeline.errors import UserError
from pipeline.process import address
from pipeline.serve import guard
from pipeline.serve.feed import Feed
from pipeline.serve.openapi import document
from schemas.translatable import Foreign

#: What `/health` says: whether the role is alive and ready, and why not.
Health = Callable[[], dict[str, Any]]


class LiveServer:
    """Serves the figures of one process. Start it first: health must answer while everything else is starting."""

    def __init__(
        self,
        host: str,
        port: int,
        registry: CollectorRegistry,
        health: Health,
        live: Callable[[], Any] | None = None,
        *,
        allowed_hosts: str = "",
    ) -> None:
        self._host, self._port, self._door = host, port, guard.door(host, allowed_hosts)
        self._registry, self._health, self._live = registry, health, live
        self._feed = Feed(live) if live is not None else None
        self._runner: web.AppRunner | None = None
        self.port = port

    async def start(self) -> None:
        """Listen. With port 0 any free port is taken; `port` says which."""
        app = web.Application(client_max_size=1024, middlewares=[guard.middleware(self._door)])
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/health", self._health_page)
        app.router.add_get("/openapi.json", self._openapi_page)
        if self._feed is not None:
            app.router.add_get("/live", self._live_page)
            app.router.add_get("/live/stream", self._feed.page)
        self._runner = guard.Runner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self._port)
        try:
            await site.start()
        except OSError as exc:
            await self._runner.cleanup()
            raise UserError(
                "{address} can't be listened on ({why}): set {setting} to a free port, or to 0 for any",
                address=address(self._host, self._port),
                why=Foreign(exc.strerror),
                setting="PIPELINE_METRICS_PORT",
            ) from None
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Stop listening and free the port."""
        if self._feed is not None:
            await self._feed.close()
        if self._runner is not None:
            await self._runner.cleanup()

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=render(self._registry), headers={"Content-Type": CONTENT_TYPE})

    async def _health_page(self, _: web.Request) -> web.Response:
        health = self._health()
        return web.json_response(health, status=200 if health["ready"] else 503)

    async def _openapi_page(self, _: web.Request) -> web.Response:
        return web.json_response(document("worker" if self._live is not None else "archiver"))

    async def _live_page(self, _: web.Request) -> web.Response:
        assert self._live is not None
        return web.json_response(self._live())


def registry(collector: Collector) -> CollectorRegistry:
    """A registry with `collector` and the process's own figures."""
    made = CollectorRegistry(auto_describe=False)
    ProcessCollector(registry=made)
    PlatformCollector(registry=made)
    GCCollector(registry=made)
    made.register(collector)
    return made


def render(source: CollectorRegistry) -> bytes:
    """The page that Prometheus reads (OpenMetrics)."""
    page: bytes = generate_latest(source)  # type: ignore[no-untyped-call]
    return page
