"""Apache Kafka on one machine: one node (KRaft, broker and controller in one process) that keeps its log.

`java` and `jars` find or fetch what it needs, `node` says how it is started and with which settings, `server` runs it
as a part of the system. The tests start theirs by the same `node`.
"""
