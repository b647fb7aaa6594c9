"""The front door's web server: a request in, its events judged and in Kafka, an answer out.

The order is that of what a stranger may cost: connections and time first, then bytes, then unpacking, then reading. No
event of anybody without a good key gets further than that.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST as CONTENT_TYPE
from pydantic_core import to_json

from pipeline.collect.answers import ALWAYS, RETRY_SECONDS, Failure, cors, preflight, refusal
from pipeline.collect.limits import TokenBucket
from pipeline.collect.model import Answer, Protocol, Refused, Request
from pipeline.collect.producer import Producer, Unavailable
from pipeline.collect.reading import Damaged, Reader
from pipeline.collect.reception import Reception, Taken
from pipeline.collect.sources import Source, Sources
from pipeline.errors import BrokenPromiseError, UserError
from pipeline.process import address
from pipeline.serve import guard
from pipeline.serve.server import render
from pipeline.settings import Settings

log = logging.getLogger(__name__)

#: Requests under way have so long to end when the process is asked to. Seconds.
DRAIN_SECONDS: Final = 5.0
#: What comes after a refusal is read and thrown away for so long, so that a client gets to see the answer. Seconds.
_LINGER_SECONDS: Final = 1.0
#: Upper bounds of the histogram of requests' times, seconds.
TIMES: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

Clock = Callable[[], float]


class FrontDoor:
    """Serves events' and operators' requests. Before `open`, and without Kafka, events are answered with 503."""

    def __init__(
        self,
        settings: Settings,
        sources: Sources,
        protocols: Sequence[Protocol],
        *,
        now: Clock = time.time,
    ) -> None:
        self._settings, self._sources, self._protocols, self._now = settings, sources, protocols, now
        self._guard = guard.door(settings.collect_host, settings.allowed_hosts)
        self._producer: Producer | None = None
        self._reception: Reception | None = None
        self._registry: CollectorRegistry | None = None
        self._buckets: dict[str, tuple[float, TokenBucket]] = {}
        self._runner: guard.BareRunner | None = None
        self._stopping = False
        #: A promise that could not be kept: the process ends.
        self._broken: BrokenPromiseError | None = None
        self._ends = asyncio.Event()
        self.port = settings.collect_port
        self.reader = Reader(settings)
        #: Answers by protocol and status; events by source, protocol and what became of them ("stored", or a reason).
        self.answers: Counter[tuple[str, int]] = Counter()
        self.events: Counter[tuple[str, str, str]] = Counter()
        #: Requests of events by how long they took (index into TIMES, the last for longer), and the seconds of all.
        self.times = [0] * (len(TIMES) + 1)
        self.seconds = 0.0
        #: Requests that met a mistake of ours, and the last of them.
        self.unforeseen = 0
        self.last_unforeseen = ""

    def serve(self, registry: CollectorRegistry) -> None:
        """Which figures `/metrics` shows."""
        self._registry = registry

    def open(self, producer: Producer, reception: Reception) -> None:
        """From now on events are taken."""
        self._producer, self._reception = producer, reception

    async def failing(self) -> None:
        """Raise the BrokenPromiseError that a request met, as soon as one has."""
        await self._ends.wait()
        assert self._broken is not None
        raise self._broken

    @property
    def producer(self) -> Producer | None:
        """Who sends to Kafka, once it is known."""
        return self._producer

    async def start(self) -> None:
        """Listen. With port 0 any free port is taken; `port` says which."""
        settings = self._settings
        self._runner = guard.BareRunner(
            self._handle, drain_seconds=DRAIN_SECONDS + 1, auto_decompress=False, lingering_time=_LINGER_SECONDS
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, settings.collect_host, settings.collect_port, ssl_context=_tls(settings))
        try:
            await site.start()
        except OSError as exc:
            await self._runner.cleanup()
            raise UserError(
                f"{address(settings.collect_host, settings.collect_port)} can't be listened on ({exc.strerror}): set "
                f"PIPELINE_COLLECT_PORT to a free port, or to 0 for any"
            ) from None
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Take no more connections, and let the requests under way end."""
        self._stopping = True
        if self._producer is not None:
            asyncio.get_running_loop().call_later(DRAIN_SECONDS, self._producer.give_up)
        if self._runner is not None:
            await self._runner.cleanup()

    def health(self) -> dict[str, Any]:
        """Whether events are taken, and why not."""
        problems: dict[str, str] = {}
        producer = self._producer
        if producer is None:
            problems["kafka"] = "not reached yet"
        elif producer.problem:
            problems["kafka"] = producer.problem
        if self._stopping:
            problems["stopping"] = "asked to end"
        ready = not problems
        if self._sources.problem:
            problems["sources"] = self._sources.problem
        elif not self._sources.count:
            problems["sources"] = "nobody may send: make a source with `streamgauge sources add`"
        if self.unforeseen:
            problems["requests"] = f"{self.unforeseen} met a mistake in this program, the last: {self.last_unforeseen}"
        return {
            "role": "collect",
            "ready": ready,
            "problems": problems,
            "sources": self._sources.count,
            "acknowledged": producer.acknowledged if producer is not None else 0,
            "waiting_bytes": self.reader.taken + (producer.waiting_bytes if producer is not None else 0),
        }

    # -- one request ---------------------------------------------------------------------------------------------

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        transport = request.transport
        connection = transport.get_protocol() if transport is not None else None
        if isinstance(connection, guard.GuardedConnection):
            connection.begin()
        try:
            if request.method in ("GET", "HEAD") and request.path in ("/health", "/metrics"):
                return self._operators(request)
            if request.method == "OPTIONS":
                return preflight(request, self._sources)
            return await self._events(request)
        finally:
            if isinstance(connection, guard.GuardedConnection):
                connection.end()

    def _operators(self, request: web.BaseRequest) -> web.Response:
        problem = guard.refused(self._guard, request.method, request.headers.getall("Host", []), request.headers)
        if problem is not None:
            return guard.refusal(*problem)
        if request.path == "/metrics":
            body = render(self._registry) if self._registry is not None else b""
            return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE, **ALWAYS})
        health = self.health()
        return web.Response(
            body=to_json(health),
            status=200 if health["ready"] else 503,
            content_type="application/json",
            headers=ALWAYS,
        )

    async def _events(self, request: web.BaseRequest) -> web.StreamResponse:
        began, received = time.perf_counter(), int(self._now() * 1000)
        origin = request.headers.get("Origin")
        protocol, held = "", [0]
        try:
            try:
                try:
                    found = await self.reader.read(request, received, held)
                except Damaged as damaged:
                    await self._keep_damaged(damaged.request, damaged.detail)
                    raise
                spoken = next((one for one in self._protocols if one.matches(found)), None)
                if spoken is None:
                    raise Failure(404, "not_found", f"nothing is at {found.path[:100]}: events go to POST /v1/events")
                protocol = spoken.name
                source = self._source(spoken.key(found), origin)
                answer = await self._answer(spoken, source, found)
            except Failure as failure:
                log.debug("%s %s: %s", request.method, request.path, failure.detail)
                response = refusal(failure.status, failure.reason, failure.detail, failure.retry_after)
            except BrokenPromiseError as exc:
                self._broken = self._broken or exc
                self._ends.set()
                response = refusal(500, "unforeseen", "a mistake in this program: it ends")
            except Exception as exc:
                self._met_a_mistake(request.path, exc)
                response = refusal(500, "unforeseen", "a mistake in this program: it is logged")
            else:
                response = web.Response(status=answer.status, body=answer.body)
                response.headers.update({"Content-Type": answer.content_type, **ALWAYS, **answer.headers})
        finally:
            self.reader.taken -= held[0]
        if origin is not None and self._sources.allows(origin):
            response.headers.update(cors(origin))
        if response.status in (408, 413, 431) or self._stopping:
            response.force_close()
        self.answers[protocol, response.status] += 1
        took = time.perf_counter() - began
        self.seconds += took
        self.times[next((at for at, most in enumerate(TIMES) if took <= most), len(TIMES))] += 1
        return response

    async def _keep_damaged(self, request: Request, why: str) -> None:
        """What comes with a good key and can't be unpacked is kept whole, where all is that was refused."""
        spoken = next((one for one in self._protocols if one.matches(request)), None)
        if spoken is None:
            return
        source = self._source(spoken.key(request), request.headers.get("origin"))
        taken = self._ready()[1].take(
            spoken.name, [Refused("unreadable", why, request.body)], source.name, request.received
        )
        await self._send(spoken, source, taken, request.received)

    # -- its events ----------------------------------------------------------------------------------------------

    def _source(self, key: str, origin: str | None) -> Source:
        source = self._sources.of(key)
        if source is None:
            if not key:
                raise Failure(401, "no_key", "the request has no write key (Authorization: Bearer KEY)")
            raise Failure(401, "unknown_key", "no source has this write key")
        if source.revoked is not None:
            raise Failure(403, "revoked_key", f"the write key of {source.name} was revoked")
        if origin is not None and not source.lets_in(origin):
            raise Failure(
                403, "origin_not_allowed", f"the source {source.name} takes nothing of pages of {origin[:200]}"
            )
        return source

    def _ready(self) -> tuple[Producer, Reception]:
        if self._producer is None or self._reception is None:
            raise Failure(503, "kafka_away", "Kafka is not reached yet", RETRY_SECONDS)
        return self._producer, self._reception

    async def _answer(self, spoken: Protocol, source: Source, request: Request) -> Answer:
        if len(request.body) > source.max_bytes:
            raise Failure(413, "too_large", f"a request of {source.name} may have {source.max_bytes} bytes")
        try:
            told = spoken.read(request)
        except (MemoryError, OSError):
            raise Failure(503, "busy", "this machine has no room for the request", RETRY_SECONDS) from None
        except Exception as exc:
            self._met_a_mistake(request.path, exc)
            told = [Refused("unforeseen", f"{type(exc).__name__}: {exc}", request.body)]
        if isinstance(told, Answer):
            return told
        if len(told) > source.max_events:
            raise Failure(413, "too_many", f"a request of {source.name} may have {source.max_events} events")
        dry = spoken.name == "native" and ("dry_run", "1") in request.query
        if not dry:
            wait = self._bucket(source).take(max(1, len(told)), time.monotonic())
            if wait:
                raise Failure(429, "too_fast", f"{source.name} may send {source.rate:g} events a second", wait)
        _, reception = self._ready()
        taken = reception.take(spoken.name, told, source.name, request.received)
        if dry:
            return spoken.answer(request, told, taken.results)
        await self._send(spoken, source, taken, request.received)
        return spoken.answer(request, told, taken.results)

    async def _send(self, spoken: Protocol, source: Source, taken: Taken, received: int) -> None:
        producer, _ = self._ready()
        try:
            await producer.send(taken.records, received)
        except Unavailable as exc:
            raise Failure(503, "kafka_away", f"not stored, send it again: {exc}", RETRY_SECONDS) from None
        for reason, count in Counter([result.reason for result in taken.results]).items():
            self.events[source.name, spoken.name, reason or "stored"] += count

    def _bucket(self, source: Source) -> Any:
        if not source.rate:
            return _UNLIMITED
        known = self._buckets.get(source.key_sha256)
        if known is None or known[0] != source.rate:
            known = self._buckets[source.key_sha256] = source.rate, TokenBucket(source.rate, time.monotonic())
        return known[1]

    def _met_a_mistake(self, path: str, exc: Exception) -> None:
        self.unforeseen += 1
        self.last_unforeseen = f"{type(exc).__name__}: {exc}"[:300]
        log.error("a request to %s met a mistake in this program: %s", path[:100], self.last_unforeseen)


class _Unlimited:
    def take(self, _: int, __: float) -> float:
        return 0.0


_UNLIMITED: Final = _Unlimited()


def _tls(settings: Settings) -> ssl.SSLContext | None:
    if settings.collect_ssl_certfile is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(settings.collect_ssl_certfile, settings.collect_ssl_keyfile)
    except (OSError, ssl.SSLError) as exc:
        raise UserError(f"PIPELINE_COLLECT_SSL_*: the certificate can't be used: {exc}") from None
    return context
