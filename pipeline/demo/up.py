"""`streamgauge up`: the whole system on this machine, for events of your own."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from pipeline.demo.folder import SETTINGS_FILE
from pipeline.demo.restored import refuse_half
from pipeline.demo.supervisor import Patience
from pipeline.demo.system import System, where
from pipeline.doctor.gather import quick_look
from pipeline.process import first_of, keep_watchdog, notify, stop_event
from pipeline.settings import Settings
from pipeline.terminal import say

log = logging.getLogger(__name__)


async def up(
    settings: Settings, data: Path, embedded_kafka: bool, embedded_clickhouse: bool, patience: Patience | None = None
) -> None:
    """The system without simulated users, until Ctrl-C. Raises DependencyError if a part can't be kept running."""
    tell: Callable[[str], None] = log.warning if settings.log_format == "json" else _say
    refuse_half(data)
    for line in quick_look(settings, data):
        tell(line)
    stop = stop_event()
    system = System(
        settings, data, embedded_kafka=embedded_kafka, embedded_clickhouse=embedded_clickhouse, usual_ports=True,
        say=tell, patience=patience,
    )  # fmt: skip
    async with system:
        await first_of(system.wait_ready(), stop.wait(), system.supervision)
        if not stop.is_set():
            notify("READY=1", f"STATUS=dashboard at {system.dashboard.url}")
            if settings.log_format == "json" or "NOTIFY_SOCKET" in os.environ:
                # Of a service: its log is no place for passwords and keys.
                tell(f"ready: dashboard at {system.dashboard.url}, front door at {system.collect.url}, see {data}")
            else:
                _tell_person(system, data)
        await first_of(stop.wait(), system.supervision, keep_watchdog())
        notify("STOPPING=1")
        tell("stopping")


def _tell_person(system: System, data: Path) -> None:
    for note in where(system):
        say(note)
    changed: tuple[str, ...] = ("KAFKA_BOOTSTRAP", "CLICKHOUSE_URL", "STREAM", "PLAN")
    if system.clickhouse_users is not None:
        changed += ("CLICKHOUSE_USER", "CLICKHOUSE_PASSWORD")
    found = system.settings.environment()
    say(f"Send        streamgauge send FILE --kafka {system.settings.kafka_bootstrap}")
    say(f"For verify, rejected and others in another terminal: --config {data / SETTINGS_FILE}, or")
    for name in changed:
        say(f"  export PIPELINE_{name}={found[f'PIPELINE_{name}']}")
    say("Ctrl-C ends it", flush=True)


def _say(text: str) -> None:
    """What happened to a part, with its time: the terminal may be looked at days later."""
    say(f"{datetime.now():%Y-%m-%d %H:%M:%S} {text}", flush=True)
