"""Tracing and metrics of a role, where its settings ask for them. Loads nothing where they don't."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry

from pipeline.errors import UserError
from pipeline.process import cancelled
from pipeline.settings import Settings

if TYPE_CHECKING:
    from pipeline.telemetry.spans import Spans


@contextlib.asynccontextmanager
async def telemetry(settings: Settings, role: str, registry: CollectorRegistry) -> AsyncIterator[Spans | None]:
    """The role's spans, None if nobody asked for them; its figures are sent meanwhile. Raises UserError."""
    if settings.otel_endpoint is None:
        yield None
        return
    try:
        from pipeline.telemetry.figures import send_figures
        from pipeline.telemetry.spans import Spans
    except ImportError as exc:
        raise UserError(
            "PIPELINE_OTEL_ENDPOINT needs OpenTelemetry: pip install 'streamgauge[otel]' ({why})", why=exc
        ) from None
    spans = Spans(role, settings.otel_endpoint, settings.otel_sample)
    sending = asyncio.create_task(send_figures(registry, role, settings.otel_endpoint), name="telemetry")
    try:
        yield spans
    finally:
        await cancelled(sending)
        await spans.close()
