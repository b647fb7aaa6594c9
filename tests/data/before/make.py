"""Makes `before.tar.xz`: what the version of commit 2985c2b left in Kafka and in ClickHouse, after 300 events.

For a machine with Apache Kafka (Java, Maven), in an environment with that version's dependencies:

    mkdir OLD && git archive 2985c2b | tar -x -C OLD
    cd OLD && PYTHONPATH=.:tests python …/tests/data/before/make.py
"""

from __future__ import annotations

import asyncio
import json
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from chaos.ground import Ground
from chaos.literal import Produced, assert_exact, produce
from chaos.world import World

HERE = Path(__file__).parent
#: 2026-11-20 10:00 UTC.
START = 1_795_168_800_000
#: Rows are there for as long as anybody may run the test.
SETTINGS: dict[str, Any] = {
    "plan": str(HERE / "plan.yaml"), "partitions": 2, "events_topic": "events", "rejected_topic": "events.rejected",
    "group": "streamgauge", "clickhouse_database": "streamgauge", "retention_days": 18_000,
    "minute_retention_days": 18_000, "rejected_retention_days": 18_000,
}  # fmt: skip


def event(number: int) -> Produced:
    """Of 30 users: each looks nine times, a minute apart, and buys at last. One in 50 is no event of the plan."""
    user, turn = f"u{number % 30}", number // 30
    body = {
        "event_id": f"e{number}", "event": "buy" if turn == 9 else "look", "user_id": user,
        "ts": START + turn * 60_000 + number * 10, "platform": ("ios", "web")[number % 2],
        "properties": {"amount": number} if turn == 9 else {"item": f"i{number % 7}"},
    }  # fmt: skip
    if number % 50 == 49:
        body["event"] = "stare"
    return Produced(json.dumps(body).encode(), user.encode())


async def main() -> None:
    """Run the roles on 270 of them, end in order, and pack what is left."""
    folder = Path(tempfile.mkdtemp(prefix="before-"))
    ground = Ground(folder, 2)
    with open(folder / "kafka" / "server.properties", "a") as file:
        file.write("log.retention.ms=-1\n")
    ground.start()
    world = World(ground, folder / "roles", workers=1, archivers=1, **SETTINGS)
    async with world:
        for role in world.roles.values():
            role.start()
        await world.ready()
        await produce(world, map(event, range(270)))
        await assert_exact(world)
        for role in world.roles.values():
            await role.terminate()
    ground.kafka.stop()
    ground.clickhouse.stop()
    with tarfile.open(HERE / "before.tar.xz", "w:xz") as packed:
        packed.add(folder / "kafka" / "log", "kafka/log")
        packed.add(folder / "clickhouse", "clickhouse")


if __name__ == "__main__":
    asyncio.run(main())
