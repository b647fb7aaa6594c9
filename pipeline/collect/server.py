"""The front door's web server: a request in, its events judged and in Kafka, an answer out.

The order is that of what a stranger may cost: connections and time first, then bytes, then unpacking, then reading. No
event of anybody without a good key gets further than that.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST as CONTENT_TYPE
from pydantic_core import to_json

from pipeline.collect.answers import RETRY_SECONDS, Failure, cors, preflight, refusal
from pipeline.collect.connection import HttpListener, Received, Reply
from pipeline.collect.limits import TokenBucket, networks
from pipeline.collect.model import Answer, Protocol, Refused, Request
from pipeline.collect.producer import Producer, Sendable, Unavailable
from pipeline.collect.reading import Damaged, all_of, max_unpacked, request_of, unpacked
from pipeline.collect.reception import Reception, Taken
from pipeline.collect.sources import Source, Sources
from pipeline.errors import BrokenPromiseError, UserError
from pipeline.process import address
from pipeline.serve import guard
from pipeline.serve.server import render
from pipeline.settings import Settings
from pipeline.telemetry.context import TRACEPARENT
from schemas.translatable import Foreign

if TYPE_CHECKING:
    from pipeline.telemetry.spans import Spans

log = logging.getLogger(__name__)

#: Requests under way have so long to end when the process is asked to. Seconds.
DRAIN_SECONDS: Final = 5.0
#: Upper bounds of the histogram of requests' times, seconds.
TIMES: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

Clock = Callable[[], float]
#: When the records of a request are acknowledged, and what it is told then.
_Sending = tuple[asyncio.Future[None], Callable[[], Answer]]


class _Underway:
    """A request that has no answer yet."""

    __slots__ = ("began", "held", "origin", "path", "protocol", "reply")

    def __init__(self, reply: Reply, began: float) -> None:
        self.reply, self.began = reply, began
        self.path = self.protocol = ""
        self.origin: str | None = None
        #: Bytes that it holds besides those of the request as it came.
        self.held = 0


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
        self._about: Mapping[str, str] = {}
        self._buckets: dict[str, tuple[float, TokenBucket]] = {}
        self._listener = HttpListener(
            self._handle, self._refused, settings.collect_max_body, settings.collect_max_waiting
        )
        self._proxies = networks(settings.collect_proxies)
        self._most = max_unpacked(settings)
        #: Where requests are traced; None: nowhere.
        self.spans: Spans | None = None
        #: A promise that could not be kept: the process ends.
        self._broken: BrokenPromiseError | None = None
        self._ends = asyncio.Event()
        self.port = settings.collect_port
        #: Answers by protocol and status; events by source, protocol and what became of them ("stored", or a reason).
        self.answers: Counter[tuple[str, int]] = Counter()
        self.events: Counter[tuple[str, str, str]] = Counter()
        #: Requests of events by how long they took (index into TIMES, the last for longer), and the seconds of all.
        self.times = [0] * (len(TIMES) + 1)
        self.seconds = 0.0
        #: Requests that met a mistake of ours, and the last of them.
        self.unforeseen = 0
        self.last_unforeseen = ""

    def serve(self, registry: CollectorRegistry, about: Mapping[str, str]) -> None:
        """Which figures `/metrics` shows, and what `/health` says `about` this process besides."""
        self._registry, self._about = registry, about

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

    @property
    def taken(self) -> int:
        """Bytes of requests that are being read or are under way."""
        return self._listener.taken

    async def start(self) -> None:
        """Listen. With port 0 any free port is taken; `port` says which."""
        settings = self._settings
        host, port = settings.collect_host, settings.collect_port
        try:
            self.port = await self._listener.start(host, port, _tls(settings))
        except OSError as exc:
            raise UserError(
                "{host} can't be listened on ({why}): set PIPELINE_COLLECT_PORT to a free port, or to 0 for any",
                host=address(host, port),
                why=Foreign(exc.strerror),
            ) from None

    async def stop(self) -> None:
        """Take no more connections, and let the requests under way end."""
        if self._producer is not None:
            asyncio.get_running_loop().call_later(DRAIN_SECONDS, self._producer.give_up)
        await self._listener.stop(DRAIN_SECONDS + 1)

    def health(self) -> dict[str, Any]:
        """Whether events are taken, and why not."""
        problems: dict[str, str] = {}
        producer = self._producer
        if producer is None:
            problems["kafka"] = "not reached yet"
        elif producer.problem:
            problems["kafka"] = producer.problem
        if self._listener.stopping:
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
            "waiting_bytes": self.taken + (producer.waiting_bytes if producer is not None else 0),
        }

    # -- one request ---------------------------------------------------------------------------------------------

    def _handle(self, came: Received, reply: Reply) -> None:
        """Answer a request, at once or when Kafka has acknowledged what it brings."""
        path = came.target.partition(b"?")[0]
        if path in (b"/health", b"/metrics") and came.method in ("GET", "HEAD"):
            reply(self._operators(path, came))
            return
        under = _Underway(reply, time.perf_counter())
        try:
            request = request_of(came, int(self._now() * 1000), self._proxies)
            under.path, under.origin = request.path, request.headers.get("origin")
            if came.method == "OPTIONS":
                reply(preflight(request, self._sources))
                return
            found = self._take(request, under)
        except Exception as exc:
            found = self._excuse(exc, under)
        if isinstance(found, Answer):
            self._answered(under, found)
        else:
            done, answer = found
            done.add_done_callback(partial(self._sent, under, answer))

    def _sent(self, under: _Underway, answer: Callable[[], Answer], done: asyncio.Future[None]) -> None:
        """Kafka has acknowledged the records of a request, or has not."""
        try:
            done.result()
            found = answer()
        except Exception as exc:
            found = self._excuse(exc, under)
        self._answered(under, found)

    def _answered(self, under: _Underway, answer: Answer) -> None:
        self._listener.taken -= under.held
        if under.origin is not None and self._sources.allows(under.origin):
            headers = {**answer.headers, **cors(under.origin)}
            answer = Answer(answer.status, answer.body, answer.content_type, headers)
        self.answers[under.protocol, answer.status] += 1
        took = time.perf_counter() - under.began
        self.seconds += took
        self.times[bisect_left(TIMES, took)] += 1
        under.reply(answer)

    def _refused(self, answer: Answer) -> None:
        """A request was refused before all of it was here."""
        self.answers["", answer.status] += 1

    def _excuse(self, exc: Exception, under: _Underway) -> Answer:
        """What a request is told that was ended by this."""
        if isinstance(exc, Unavailable):
            exc = Failure(503, "kafka_away", f"not stored, send it again: {exc}", RETRY_SECONDS)
        if isinstance(exc, Failure):
            log.debug("%s: %s", under.path, exc.detail)
            return refusal(exc.status, exc.reason, exc.detail, exc.retry_after)
        if isinstance(exc, BrokenPromiseError):
            self._broken = self._broken or exc
            self._ends.set()
            return refusal(500, "unforeseen", "a mistake in this program: it ends")
        self._met_a_mistake(under.path, exc)
        return refusal(500, "unforeseen", "a mistake in this program: it is logged")

    def _operators(self, path: bytes, came: Received) -> Answer:
        headers = {name.decode("latin-1").title(): value.decode("latin-1") for name, value in reversed(came.headers)}
        problem = guard.refused(self._guard, came.method, all_of(came, b"host"), headers)
        if problem is not None:
            return refusal(problem[0], "not_let_in", problem[1])
        if path == b"/metrics":
            return Answer(200, render(self._registry) if self._registry is not None else b"", CONTENT_TYPE)
        health = {**self.health(), **self._about}
        return Answer(200 if health["ready"] else 503, to_json(health))

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

    def _take(self, request: Request, under: _Underway) -> Answer | _Sending:
        spoken = next((one for one in self._protocols if one.matches(request)), None)
        try:
            whole = unpacked(request, self._most)
        except Damaged as damaged:
            if spoken is None:
                raise
            return self._keep_damaged(spoken, damaged)
        if whole is not request:
            under.held = len(whole.body)
            self._listener.taken += under.held
        if spoken is None:
            raise Failure(404, "not_found", f"nothing is at {request.path[:100]}: events go to POST /v1/events")
        under.protocol = spoken.name
        return self._events(spoken, self._source(spoken.key(whole), under.origin), whole)

    def _keep_damaged(self, spoken: Protocol, damaged: Damaged) -> _Sending:
        """What comes with a good key and can't be unpacked is kept whole, where all is that was refused."""
        request, why = damaged.request, damaged.detail
        source = self._source(spoken.key(request), request.headers.get("origin"))
        refused = [Refused("unreadable", why, request.body)]
        taken = self._ready()[1].take(spoken.name, refused, source.name, request.received)
        return self._send(spoken, source, taken, request, lambda: refusal(400, "unreadable", why))

    def _events(self, spoken: Protocol, source: Source, request: Request) -> Answer | _Sending:
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
        if not dry and source.rate:
            wait = self._bucket(source).take(max(1, len(told)), time.monotonic())
            if wait:
                raise Failure(429, "too_fast", f"{source.name} may send {source.rate:g} events a second", wait)
        taken = self._ready()[1].take(spoken.name, told, source.name, request.received)
        if dry:
            return spoken.answer(request, taken.told, taken.results)
        return self._send(spoken, source, taken, request, lambda: spoken.answer(request, taken.told, taken.results))

    def _send(
        self, spoken: Protocol, source: Source, taken: Taken, request: Request, answer: Callable[[], Answer]
    ) -> _Sending:
        """Send the records of a request; `answer` is what it is told once they are acknowledged."""
        records, span = taken.records, None
        if self.spans is not None and records:
            about = {"streamgauge.protocol": spoken.name, "streamgauge.source": source.name}
            span = self.spans.begin("receive", request.headers.get(TRACEPARENT, ""), about)
        if span is not None:
            # One record of a request stands for all.
            first = records[0]
            mark = (TRACEPARENT, span.parent.header())
            records = [Sendable(first.partition, first.key, first.value, (*first.headers, mark)), *records[1:]]
        try:
            done = self._ready()[0].send(records, request.received)
        except Unavailable:
            if span is not None:
                span.end(**{"streamgauge.events": len(records)})
            raise
        if span is not None:
            done.add_done_callback(lambda _: span.end(**{"streamgauge.events": len(records)}))

        def counted() -> Answer:
            for reason, count in Counter([result.reason for result in taken.results]).items():
                self.events[source.name, spoken.name, reason or "stored"] += count
            return answer()

        return done, counted

    def _bucket(self, source: Source) -> TokenBucket:
        known = self._buckets.get(source.key_sha256)
        if known is None or known[0] != source.rate:
            known = self._buckets[source.key_sha256] = source.rate, TokenBucket(source.rate, time.monotonic())
        return known[1]

    def _met_a_mistake(self, path: str, exc: Exception) -> None:
        self.unforeseen += 1
        self.last_unforeseen = f"{type(exc).__name__}: {exc}"[:300]
        log.error("a request to %s met a mistake in this program: %s", path[:100], self.last_unforeseen)


def _tls(settings: Settings) -> ssl.SSLContext | None:
    if settings.collect_ssl_certfile is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(settings.collect_ssl_certfile, settings.collect_ssl_keyfile)
    except (OSError, ssl.SSLError) as exc:
        raise UserError("PIPELINE_COLLECT_SSL_*: the certificate can't be used: {why}", why=exc) from None
    return context
