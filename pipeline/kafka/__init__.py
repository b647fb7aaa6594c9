"""Reading Kafka's log: a consumer that any producer's records can pass, and what is behind a gap."""
