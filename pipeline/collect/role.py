"""The front door as a process: started by the command, ended by a signal or by what it can't go on with."""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path

from aiokafka.errors import KafkaError

from pipeline.collect.collector import CollectCollector
from pipeline.collect.enrich.additions import Additions
from pipeline.collect.enrich.place import Places
from pipeline.collect.native import Native
from pipeline.collect.producer import Producer
from pipeline.collect.protocols import protocols
from pipeline.collect.reading import max_unpacked
from pipeline.collect.reception import Reception
from pipeline.collect.server import FrontDoor
from pipeline.collect.sources import Sources, read_sources
from pipeline.errors import DependencyError, UserError
from pipeline.kafka.topic import watch
from pipeline.process import announce, cancelled, collect_seldom, end_in_time, first_of, stop_event
from pipeline.serve.answers import about
from pipeline.serve.server import registry
from pipeline.settings import Settings, plan_of
from pipeline.telemetry.start import telemetry
from pipeline.topics import ensure_topic
from schemas.collect import Addition, Collect
from schemas.plan import Plan

log = logging.getLogger(__name__)


async def run_collect(settings: Settings) -> None:
    """Take events over HTTP until SIGTERM; raises what ended it otherwise."""
    plan = plan_of(settings)
    read_sources(settings.collect_sources)  # a mistake in them shows before anything starts
    sources = Sources(settings.collect_sources)
    additions = additions_of(settings, plan)
    door = FrontDoor(settings, sources, [Native(), *protocols(max_unpacked(settings))])
    figures = registry(CollectCollector(door))
    door.serve(figures, about(plan))
    # While Kafka is away they say so thirty times a second; the producer says it once.
    for name in ("aiokafka", "aiokafka.producer.sender"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    # Anybody can send bytes that are no request, and fill a disk with lines about them.
    logging.getLogger("pipeline.serve.requests").addFilter(lambda record: record.levelno > logging.INFO)
    stop = stop_event()
    await door.start()
    announce("collect", port=door.port)
    collect_seldom()
    producer: Producer | None = None
    starting = asyncio.create_task(ensure_topic(settings))
    try:
        await first_of(stop.wait(), starting)
        if stop.is_set():
            return
        topic = starting.result()
        producer = Producer(
            settings.kafka_kwargs(),
            settings.events_topic,
            topic.partitions,
            settings.collect_max_waiting,
            settings.collect_timeout_s,
        )
        try:
            await producer.start()
        except (KafkaError, OSError) as exc:
            raise DependencyError(
                "Kafka at {address} can't be reached: {why}", address=settings.kafka_bootstrap, why=exc
            ) from exc
        door.open(producer, Reception(plan, topic.partitions, additions.add, settings.validation))
        async with telemetry(settings, "collect", figures) as door.spans:
            await first_of(stop.wait(), watch(settings, topic), door.failing(), *producer.pumps)
    finally:
        end_in_time(sys.exception())
        await cancelled(starting)
        # Those under way still get their acknowledgement.
        await door.stop()
        if producer is not None:
            await producer.stop()


def additions_of(settings: Settings, plan: Plan) -> Additions:
    """What is added to events. A plan that says nothing of that gets what this installation can.

    Raises UserError if the plan asks for what is not there.
    """
    files = [Path(part.strip()) for part in settings.collect_places.split(",") if part.strip()]
    places = Places(files, settings.collect_places_language) if files else None
    if plan.collect is not None:
        return Additions(plan.collect.enrich, places)
    usual: tuple[Addition, ...] = Collect().enrich
    try:
        return Additions(usual, places)
    except UserError as exc:
        log.warning("%s", exc)
        return Additions([one for one in usual if one != "agent"], places)
