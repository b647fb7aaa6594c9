"""Spans, sent to a collector in batches by a thread of their own. Loads the SDK: only where tracing was asked for."""

from __future__ import annotations

import asyncio
import random
import socket
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, SpanKind, TraceFlags, set_span_in_context

from pipeline import __version__
from pipeline.telemetry.context import Allowance, Parent, parent_of, parents_in

#: Spans a second, and at once, whatever is sent.
_RATE, _BURST = 50.0, 200.0
#: A collector that is silent holds nobody up: an export, the last one at a stop.
_EXPORT_SECONDS: Final = 5
_STOP_SECONDS: Final = 1.0
_KINDS: Final = {"collect": SpanKind.SERVER, "worker": SpanKind.CONSUMER, "archiver": SpanKind.CONSUMER}


def resource(role: str) -> Any:
    """Who sends: the role, its version and where it runs."""
    return Resource.create(
        {"service.namespace": "streamgauge", "service.name": f"streamgauge-{role}", "service.version": __version__,
         "host.name": socket.gethostname()}
    )  # fmt: skip


class Spans:
    """The spans of one role. `endpoint` is a collector's (OTLP over HTTP); `share` of the requests are traced."""

    def __init__(self, role: str, endpoint: str, share: float) -> None:
        self._role, self._share = role, share
        self._provider = TracerProvider(resource=resource(role), shutdown_on_exit=False)
        exporter = OTLPSpanExporter(endpoint=f"{endpoint}/v1/traces", timeout=_EXPORT_SECONDS)
        self._provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=1_000))
        self._tracer = self._provider.get_tracer("streamgauge", __version__)
        self._allowance = Allowance(_RATE, _BURST, time.monotonic())
        self._random = random.Random()

    def begin(self, name: str, header: str, attributes: Mapping[str, str | int]) -> RequestSpan | None:
        """A trace that begins with a request, if this one is chosen: by us, whatever its `traceparent` asks for.

        Where that is one, the span links to it: whose trace it was can be found from ours, and nobody can put spans
        into it.
        """
        if self._random.random() >= self._share or not self._allowance.take(time.monotonic()):
            return None
        theirs = parent_of(header.encode("utf-8", "replace"))
        links = [] if theirs is None else [Link(_context(theirs))]
        span = self._tracer.start_span(name, kind=_KINDS[self._role], links=links, attributes=dict(attributes))
        return RequestSpan(span)

    def done(
        self, name: str, parents: Sequence[tuple[Parent, Mapping[str, str | int]]], began: float, ended: float
    ) -> None:
        """What was done with traced records between two moments (`time.time`), as a span for each."""
        for parent, attributes in parents:
            if not self._allowance.take(time.monotonic()):
                return
            context = set_span_in_context(NonRecordingSpan(_context(parent)))
            span = self._tracer.start_span(
                name, context, kind=_KINDS[self._role], attributes=dict(attributes), start_time=int(began * 1e9)
            )
            span.end(int(ended * 1e9))

    def traced(self, partition: int, records: Sequence[Any]) -> list[tuple[Parent, Mapping[str, str | int]]]:
        """The records of a batch that are traced, and where they are."""
        return [
            (parent, {"messaging.kafka.partition": partition, "messaging.kafka.offset": records[at].offset})
            for at, parent in parents_in(records)
        ]

    async def close(self) -> None:
        """Send what is left, within bounds."""
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                await asyncio.to_thread(self._provider.force_flush, int(_STOP_SECONDS * 1000))
        except TimeoutError:
            return


class RequestSpan:
    """The span of a request that is under way."""

    def __init__(self, span: Any) -> None:
        self._span = span

    @property
    def parent(self) -> Parent:
        """For what comes after it."""
        context = self._span.get_span_context()
        return Parent(context.trace_id, context.span_id, True)

    def end(self, **attributes: str | int) -> None:
        """It is answered."""
        self._span.set_attributes(attributes)
        self._span.end()


def _context(parent: Parent) -> SpanContext:
    return SpanContext(parent.trace, parent.span, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
