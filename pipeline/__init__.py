"""Streamgauge: exact live counting of user events, from Kafka to ClickHouse."""

__version__ = "0.1.0"
