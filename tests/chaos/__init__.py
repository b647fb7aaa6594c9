"""The whole system under faults, on a real Kafka: `python -m tests.chaos` (`make chaos`), and the tests in `faults/`.

`ground` holds the servers, `world` the roles on them with a proxy on each way, `sender` the simulated users,
`recount` the truth (the log, read back and counted in plain Python), `faults` what may go wrong, `run` one run.
"""
