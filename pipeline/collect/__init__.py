"""The front door: events over HTTP, from any SDK, into Kafka."""
