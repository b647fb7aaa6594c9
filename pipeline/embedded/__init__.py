"""A broker, a ClickHouse and a Prometheus that are started beside us, for `demo`, `up` and the tests."""
