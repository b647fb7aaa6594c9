"""`streamgauge up`: the whole system on this machine, for events of your own."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from pipeline.demo.system import System, where
from pipeline.process import first_of, stop_event
from pipeline.settings import Settings


async def up(settings: Settings, data: Path, embedded_kafka: bool, embedded_clickhouse: bool) -> None:
    """The system without simulated users, until Ctrl-C."""
    stop = stop_event()
    console = Console()
    system = System(
        settings, data, embedded_kafka=embedded_kafka, embedded_clickhouse=embedded_clickhouse, usual_ports=True
    )
    async with system:
        await first_of(system.wait_ready(), stop.wait())
        for note in where(system):
            console.print(note, soft_wrap=True)
        changed: tuple[str, ...] = ("KAFKA_BOOTSTRAP", "CLICKHOUSE_URL", "STREAM", "PLAN")
        if system.clickhouse_users is not None:
            changed += ("CLICKHOUSE_USER", "CLICKHOUSE_PASSWORD")
        found = system.settings.environment()
        console.print(f"Send        streamgauge send FILE --kafka {system.settings.kafka_bootstrap}", soft_wrap=True)
        console.print("For verify, rejected and others in another terminal:")
        for name in changed:
            console.print(f"  export PIPELINE_{name}={found[f'PIPELINE_{name}']}", soft_wrap=True)
        console.print("Ctrl-C ends it")
        await stop.wait()
        console.print("Stopping …")
