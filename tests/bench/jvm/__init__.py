"""The worker's job on Kafka Streams and on Flink, beside the worker: `python -m tests.bench.jvm` (`make bench-jvm`).

Needs a JDK of Java 17 or newer and Maven (Debian: openjdk-17-jdk-headless, maven), which fetches Kafka and the
libraries the first time. Nobody has to know Java to run it: the program here makes the log, starts Kafka, builds,
checks, measures and prints.

**What is compared.** Each system reads JSON from one Kafka log and does the same for each event of the plan `shop`:
validates it (types, ranges, enums, required and unknown ones, times, ids that mean nobody), drops what was seen within
`dedupe`, tells late from in time by the partition's watermark, counts events, amount, users, sessions and registrations
(HyperLogLog) in windows of a minute, an hour, a day of the plan's zone and a day of UTC, in total and by the three
dimensions, with `(other)` beyond `max_values`, and walks both funnels, whose steps may come out of order. State is kept
for a restart, and rows go out once a second. Each runs alone on one core; broker and ClickHouse have the others.

**Equal before it is timed.** Each system first gets a log of everything that is odd (`traffic.odd`), and what it
wrote must be what our fold makes of that log: counts, amounts, funnels and their step times exactly, sketches within
their error. So must the rows of each timed run. A system that differs is not timed.

    core/      the job of one partition; knows neither Kafka Streams nor Flink
    streams/   Kafka Streams 4.4, exactly once: one processor a partition, the state in its changelog
    flink/     Flink 2.2, checkpoints: chained to the source, or by keyBy
    plan.py    the plan for the JVM        traffic.py   what is in the logs
    equal.py   the fold to compare with    jvm.py       building and running them
    ours.py    the worker                  ground.py    Kafka and ClickHouse

**What differs**, in whose favour, is in docs/performance.md.
"""
