"""`streamgauge up`: the whole system on this machine, for events of your own."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Literal, TypeAlias

from pipeline.demo.supervisor import Patience
from pipeline.demo.system import System
from pipeline.demo.where import where
from pipeline.embedded.kafka.jars import kafka_missing
from pipeline.embedded.kafka.server import KafkaBroker, Program
from pipeline.errors import UserError
from pipeline.process import first_of, stop_event
from pipeline.settings import Settings
from pipeline.terminal import say

#: Which broker is started: `auto` is Kafka where it can be run.
Broker: TypeAlias = Literal["auto", "kafka", "memory"]


async def up(
    settings: Settings,
    data: Path,
    embedded_kafka: bool,
    embedded_clickhouse: bool,
    patience: Patience | None = None,
    kafka: Program | None = None,
) -> None:
    """The system without simulated users, until Ctrl-C. Raises DependencyError if a part can't be kept running."""
    stop = stop_event()
    system = System(
        settings, data, embedded_kafka=embedded_kafka, embedded_clickhouse=embedded_clickhouse, kafka=kafka,
        usual_ports=True, keep_ports=True, say=_say, patience=patience,
    )  # fmt: skip
    async with system:
        await first_of(system.wait_ready(), stop.wait(), system.supervision)
        for note in where(system):
            say(note)
        changed: tuple[str, ...] = ("KAFKA_BOOTSTRAP", "CLICKHOUSE_URL", "STREAM", "PLAN")
        if system.clickhouse_users is not None:
            changed += ("CLICKHOUSE_USER", "CLICKHOUSE_PASSWORD")
        found = system.settings.environment()
        say(f"Send        streamgauge send FILE --kafka {system.settings.kafka_bootstrap}")
        say("For verify, rejected and others in another terminal:")
        for name in changed:
            say(f"  export PIPELINE_{name}={found[f'PIPELINE_{name}']}")
        say("Ctrl-C ends it", flush=True)
        await first_of(stop.wait(), system.supervision)
        say("Stopping …")


def kafka_of(broker: Broker, data: Path, kafka_dir: Path | None) -> Program | None:
    """The Kafka that is to keep the log in the folder `data`, fetched if need be; None: it stays in memory, as is said.

    Raises UserError where that would leave a log aside that is there already, or where what is asked for can't be run.
    """
    kept = KafkaBroker.has_log(data)
    if broker == "memory":
        if kept:
            raise UserError(f"{data} keeps its log in Kafka: leave out --broker memory, or use another --data")
        return None
    why = kafka_missing(kafka_dir)
    if why is None:
        return Program.find(kafka_dir, lambda text: say(text, flush=True))
    if kept or broker == "kafka" or kafka_dir is not None:
        raise UserError(f"Kafka, which keeps the log of {data}, can't be run here: {why}" if kept else why)
    say(f"The embedded broker keeps nothing and is for trying. For Kafka, which keeps every event: {why}", flush=True)
    return None


def _say(text: str) -> None:
    """What happened to a part, with its time: the terminal may be looked at days later."""
    say(f"{datetime.now():%Y-%m-%d %H:%M:%S} {text}", flush=True)
