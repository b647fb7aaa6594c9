from __future__ import annotations

from kafka_harness.fixtures import kafka, kafka_server, new_topic

__all__ = ["kafka", "kafka_server", "new_topic"]
