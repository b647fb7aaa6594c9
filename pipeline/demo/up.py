"""`streamgauge up`: the whole system on this machine, for events of your own."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Literal, TypeAlias

from pipeline.demo.folder import SETTINGS_FILE
from pipeline.demo.restored import refuse_half
from pipeline.demo.supervisor import Patience
from pipeline.demo.system import System
from pipeline.demo.where import where
from pipeline.doctor.gather import quick_look
from pipeline.embedded.kafka.jars import kafka_missing
from pipeline.embedded.kafka.server import KafkaBroker, Program
from pipeline.errors import UserError
from pipeline.process import first_of, keep_watchdog, notify, stop_event
from pipeline.render.language import ENGLISH, Language
from pipeline.settings import Settings
from pipeline.terminal import padded, say
from schemas.translatable import Sentence

log = logging.getLogger(__name__)

#: Which broker is started: `auto` is Kafka where it can be run.
Broker: TypeAlias = Literal["auto", "kafka", "memory"]


async def up(
    settings: Settings,
    data: Path,
    embedded_kafka: bool,
    embedded_clickhouse: bool,
    patience: Patience | None = None,
    broker: Broker = "auto",
    kafka_dir: Path | None = None,
    language: str = ENGLISH,
) -> None:
    """The system without simulated users, until Ctrl-C. Raises DependencyError if a part can't be kept running."""
    in_log = settings.log_format == "json"
    t = Language(ENGLISH if in_log else language)

    def tell(said: str) -> None:
        (log.warning if in_log else _say)(t.said(said))

    refuse_half(data)
    kafka = kafka_of(broker, data, kafka_dir, tell) if embedded_kafka else None
    for line in quick_look(settings, data, t):
        tell(line)
    stop = stop_event()
    system = System(
        settings, data, embedded_kafka=embedded_kafka, embedded_clickhouse=embedded_clickhouse, kafka=kafka,
        usual_ports=True, keep_ports=True, say=tell, patience=patience,
    )  # fmt: skip
    async with system:
        await first_of(system.wait_ready(), stop.wait(), system.supervision)
        if not stop.is_set():
            notify("READY=1", f"STATUS={t('dashboard at {url}', url=system.dashboard.url)}")
            if in_log or "NOTIFY_SOCKET" in os.environ:
                # Of a service: its log is no place for passwords and keys.
                ready = t(
                    "ready: dashboard at {dashboard}, front door at {door}, see {data}",
                    dashboard=system.dashboard.url, door=system.collect.url, data=data,
                )  # fmt: skip
                tell(ready)
            else:
                _tell_person(t, system, data)
        await first_of(stop.wait(), system.supervision, keep_watchdog())
        notify("STOPPING=1")
        tell(t("stopping"))


def _tell_person(t: Language, system: System, data: Path) -> None:
    for note in where(t, system):
        say(note)
    changed: tuple[str, ...] = ("KAFKA_BOOTSTRAP", "CLICKHOUSE_URL", "STREAM", "PLAN")
    if system.servers.clickhouse is not None:
        changed += ("CLICKHOUSE_USER", "CLICKHOUSE_PASSWORD")
    found = system.settings.environment()
    kafka = system.settings.kafka_bootstrap
    say(f"{padded(t('Send'), 12)}{t('streamgauge send FILE --kafka {kafka}', kafka=kafka)}")
    say(t("For verify, rejected and others in another terminal: --config {file}, or", file=data / SETTINGS_FILE))
    for name in changed:
        say(f"  export PIPELINE_{name}={found[f'PIPELINE_{name}']}")
    say(t("Ctrl-C ends it"), flush=True)


def kafka_of(broker: Broker, data: Path, kafka_dir: Path | None, tell: Callable[[str], None]) -> Program | None:
    """The Kafka that is to keep the log in the folder `data`, fetched if need be; None: it stays in memory, as is said.

    Raises UserError where that would leave a log aside that is there already, or where what is asked for can't be run.
    """
    kept = KafkaBroker.has_log(data)
    if broker == "memory":
        if kept:
            raise UserError(
                "{folder} keeps its log in Kafka: leave out --broker memory, or use another --data", folder=data
            )
        return None
    why = kafka_missing(kafka_dir)
    if why is None:
        return Program.find(kafka_dir, tell)
    if kept or broker == "kafka" or kafka_dir is not None:
        if kept:
            raise UserError("Kafka, which keeps the log of {folder}, can't be run here: {why}", folder=data, why=why)
        raise UserError("{why}", why=why)
    tell(
        Sentence(
            "the embedded broker keeps nothing and is for trying; for Kafka, which keeps every event: {why}", why=why
        )
    )
    return None


def _say(text: str) -> None:
    """What happened to a part, with its time: the terminal may be looked at days later."""
    say(f"{datetime.now():%Y-%m-%d %H:%M:%S} {text}", flush=True)
