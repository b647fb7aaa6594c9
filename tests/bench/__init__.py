"""How fast it is on this machine: `python -m tests.bench` from the root of the repository (`make bench`).

Everything is started here and is seeded: an embedded broker with the same events in it every time, an embedded
ClickHouse, and a worker process as it runs in production. Beside it, in the same run, idiomatic Faust and the floor
read the same bytes, so that a ratio does not depend on the machine.
"""
