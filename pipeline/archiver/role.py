"""The archiver as a process: started by the command, ended by a signal or by what it can't go on with."""

from __future__ import annotations

import asyncio
import sys

from pipeline.archiver.archiver import Archiver
from pipeline.archiver.collector import ArchiverCollector
from pipeline.kafka.topic import watch
from pipeline.process import announce, cancelled, collect_seldom, end_in_time, first_of, stop_event
from pipeline.serve.answers import about
from pipeline.serve.server import LiveServer, registry
from pipeline.settings import Settings, plan_of
from pipeline.telemetry.start import telemetry
from pipeline.topics import ensure_topic

#: For the last insert of a stop.
_SAVE_SECONDS = 4.0


async def run_archiver(settings: Settings) -> None:
    """Archive the events topic until SIGTERM; raises what ended it otherwise."""
    plan = plan_of(settings)
    topic = await ensure_topic(settings)
    archiver = Archiver(settings, plan, topic.partitions, topic.id)
    figures = registry(ArchiverCollector(archiver))
    server = LiveServer(
        settings.metrics_host,
        settings.metrics_port,
        figures,
        lambda: {**archiver.health(), **about(plan)},
        allowed_hosts=settings.allowed_hosts,
    )
    stop = stop_event()
    await server.start()
    announce("archiver", metrics_port=server.port)
    collect_seldom()
    running = asyncio.create_task(archiver.run(), name="archiver")
    try:
        async with telemetry(settings, "archiver", figures) as archiver.spans:
            await first_of(stop.wait(), watch(settings, topic), running)
    finally:
        end_in_time(sys.exception())
        archiver.stop()
        # With ClickHouse away it would try for ever; what was not inserted is read again, as it is not committed.
        await asyncio.wait({running}, timeout=_SAVE_SECONDS)
        await cancelled(running)
        if not running.cancelled():
            running.result()
        await server.stop()
