"""Events from files into Kafka: reading them, sending them, checking them without a broker."""
