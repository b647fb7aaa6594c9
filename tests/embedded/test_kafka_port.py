"""A port that another program takes while Kafka's Java starts."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from pipeline.embedded.child import free_port
from pipeline.embedded.kafka.server import KafkaBroker, Program

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("needs_kafka")]


async def start_and_take(broker: KafkaBroker) -> socket.socket:
    """Start it, and listen on the port that it has chosen before it does: Java takes a second or two until then."""
    starting = asyncio.create_task(broker.start())
    while not (broker.folder / "server.properties").exists():
        await asyncio.sleep(0.005)
    taken = socket.create_server(("127.0.0.1", broker.port))
    try:
        await starting
    except BaseException:
        taken.close()
        raise
    return taken


async def test_one_that_nobody_knows_yet_is_chosen_again(tmp_path: Path) -> None:
    port, _ = free_port()
    broker = KafkaBroker(Program.find(), tmp_path, port)
    with await start_and_take(broker):
        try:
            assert (broker.port != port, broker.port_was_taken) == (True, True)
            assert await broker.answers()
        finally:
            await broker.stop()
