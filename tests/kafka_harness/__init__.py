"""A real Kafka, and faults on the way to it, for tests. Needs what `streamgauge up` needs for its own: Java 17, and
Maven, which fetches Kafka the first time.

`KafkaServer` runs one node, `TcpProxy` stands between it (or any other server) and its clients, `spawn`
starts any process that must not outlive the tests. The fixtures are in `kafka_harness.fixtures`.
"""

from __future__ import annotations

from kafka_harness.process import free_port, spawn
from kafka_harness.proxy import Direction, TcpProxy
from kafka_harness.server import KafkaServer

__all__ = [
    "Direction",
    "KafkaServer",
    "TcpProxy",
    "free_port",
    "spawn",
]
