"""What the doctor says of literal facts, word for word; and that it never takes for good what it did not see."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.doctor import data, log, machine
from pipeline.doctor.data import DoorState, LastHour, Parts, Plans
from pipeline.doctor.diagnosis import Installation, diagnose, exit_code, fine
from pipeline.doctor.gather import disk_of, memory
from pipeline.doctor.log import Lag, Topics, TopicState
from pipeline.doctor.machine import GIB, MIB, Clocks, DiskSpace, Listener, Memory, Versions
from pipeline.doctor.model import Advice, Subject, Unknown
from pipeline.doctor.words import lines
from pipeline.render.language import Language
from pipeline.topics import FORWARDED_BYTES

EN, ZH = Language("en"), Language("zh")
EVERYTHING = 0xFFF
WELL = {"retention.ms": "604800000", "cleanup.policy": "delete", "max.message.bytes": "1048588",
        "min.insync.replicas": "1"}  # fmt: skip
EVENTS = TopicState("events", 8, 1, 1, 0, WELL, EVERYTHING)
REJECTED = TopicState("events.rejected", 4, 1, 1, 0, {**WELL, "max.message.bytes": "16777216"}, EVERYTHING)
CHANGELOG = TopicState(
    "streamgauge-state-changelog", 8, 1, 1, 0, {**WELL, "retention.ms": "-1", "retention.bytes": "-1"}, EVERYTHING
)
NAMES = ("events", "events.rejected", "streamgauge-state-changelog")
TOPICS = Topics(1, EVENTS, REJECTED, CHANGELOG, NAMES)
MIGRATIONS = {"0001_events.sql": "a1", "0002_live.sql": "b2"}
VERSIONS = Versions((3, 11, 2), "26.9.1.1", [], MIGRATIONS, MIGRATIONS, {"worker": "0.2.0"}, "0.2.0")
GOOD = Installation(
    listeners=[Listener("worker", "127.0.0.1:9108", "ours"), Listener("archiver", "127.0.0.1:9109", "ours")],
    folders=[DiskSpace("data", 50 * GIB, 100 * GIB)],
    disks=[DiskSpace("the disk default of ClickHouse", 50 * GIB, 100 * GIB)],
    memory=Memory(8 * GIB, 16 * GIB),
    clocks=Clocks(None, 0.0),
    versions=VERSIONS,
    topics=TOPICS,
    lag=[Lag("worker", 3, 100_000), Lag("archiver", 0, 500_000)],
    health={"worker": {"role": "worker", "ready": True, "problems": {}}},
    plans=Plans("Shop", "ab12", {"worker": "ab12", "archiver": "ab12"}, None),
    parts=Parts(12, "events_raw", "202611", 0),
    last_hour=LastHour(1_000, 3),
    front_door=DoorState({"role": "collect", "ready": True, "problems": {}}, 1, "sources.json"),
    kept=[],
    lateness_ms=3_600_000,
    forwarded_bytes=FORWARDED_BYTES,
)


def said(subject: Subject, **changes: object) -> list[tuple[str, str, str]]:
    """What differs from a good installation."""
    found = diagnose(replace(GOOD, **changes), EN)  # type: ignore[arg-type]
    assert {one.subject for one in found} <= {subject}, found
    return [(one.severity, one.sentence, one.todo) for one in found]


def test_an_installation_without_a_fault() -> None:
    assert diagnose(GOOD, EN) == []
    assert list(lines([], EN)) == [
        "well: ports, disk, memory, clocks, versions, topics, rights, plan, lag, parts, rejected, front door, kept things",
        "0 errors, 0 warnings, 0 not looked at",
    ]
    assert exit_code([]) == 0


def test_what_could_not_be_had_is_never_said_to_be_well() -> None:
    """Nothing answers: each subject says so, and none but what the machine knows is well."""
    no = Unknown("connection refused")
    blind = replace(
        GOOD,
        disks=no, memory=no, clocks=Clocks(no, no), topics=no, parts=no, last_hour=no, health={},
        versions=replace(VERSIONS, clickhouse=no, kafka_lacks=no, migrations=no, roles={}),
        lag=[Lag("worker", no, 1), Lag("archiver", no, 1)], plans=Plans("Shop", "ab12", {"worker": ""}, no),
        front_door=DoorState(no, 1, "sources.json"),
        listeners=[Listener("collect", "127.0.0.1:9111", "nobody", needed=False)],
    )  # fmt: skip
    found = diagnose(blind, EN)
    assert {one.severity for one in found} == {"unknown"}
    assert fine(found) == ["kept things"]
    assert exit_code(found) == 0
    assert [one.sentence for one in found if one.subject in ("disk", "rejected", "rights")] == [
        "the disks of ClickHouse could not be looked at: connection refused",
        "rights at Kafka could not be looked at: connection refused",
        "the records of the last hour could not be looked at: connection refused",
    ]


def test_ports() -> None:
    assert said("ports", listeners=[
        Listener("worker", "127.0.0.1:9108", "nobody"), Listener("archiver", "127.0.0.1:9109", "taken"),
        Listener("Kafka", "kafka-1:9092", "nobody"), Listener("collect", "127.0.0.1:9111", "nobody", needed=False),
    ]) == [
        ("error", "nothing answers at 127.0.0.1:9108, where the worker should be",
         "start it: `streamgauge up`, or `streamgauge worker`; its log says why it ended"),
        ("error", "at 127.0.0.1:9109, the port of the archiver, another program answers",
         "end that program, or give the part another port (PIPELINE_*_PORT)"),
        ("error", "nothing answers at kafka-1:9092, where Kafka should be",
         "start it, or set PIPELINE_KAFKA_BOOTSTRAP to where it is"),
        ("unknown", "nothing answers at 127.0.0.1:9111: the front door was not looked at", ""),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("free", "total", "severity", "sentence"),
    [
        (900 * MIB, 5 * GIB, "error", "data has 900 MiB of 5.0 GiB free (18%)"),
        (20 * GIB, 1000 * GIB, "error", "data has 20.0 GiB of 1000 GiB free (2%)"),
        (90 * GIB, 1000 * GIB, "warning", "data has 90.0 GiB of 1000 GiB free (9%)"),
        (0, 0, "error", "data has 0 MiB of 0 MiB free (0%)"),
    ],
)
def test_disk(free: int, total: int, severity: str, sentence: str) -> None:
    [(found, text, _)] = said("disk", folders=[DiskSpace("data", free, total)])
    assert (found, text) == (severity, sentence)


def test_disk_with_room() -> None:
    assert said("disk", folders=[DiskSpace("data", 110 * GIB, 1000 * GIB), DiskSpace("state", 2 * GIB, 10 * GIB)]) == []


def test_memory() -> None:
    [(severity, sentence, _)] = said("memory", memory=Memory(200 * MIB, 1 * GIB))
    assert (severity, sentence) == ("error", "200 MiB of 1.0 GiB of memory are available")
    [(severity, sentence, _)] = said("memory", memory=Memory(GIB, 16 * GIB))
    assert (severity, sentence) == ("warning", "1.0 GiB of 16.0 GiB of memory are available")


def test_memory_of_the_machine_or_of_its_group(tmp_path: Path) -> None:
    """Where a group has a limit, what it has left counts; what files hold is given back."""
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal:       16777216 kB\nMemFree: 1 kB\nMemAvailable:    8388608 kB\n")
    assert memory(meminfo, tmp_path) == Memory(8 * GIB, 16 * GIB)
    (tmp_path / "memory.max").write_text("max\n")
    assert memory(meminfo, tmp_path) == Memory(8 * GIB, 16 * GIB)
    (tmp_path / "memory.max").write_text(f"{2 * GIB}\n")
    (tmp_path / "memory.current").write_text(f"{2 * GIB - 50 * MIB}\n")
    (tmp_path / "memory.stat").write_text(f"anon 1\ninactive_file {150 * MIB}\n")
    assert memory(meminfo, tmp_path) == Memory(200 * MIB, 2 * GIB)
    assert isinstance(memory(tmp_path / "none", tmp_path), Unknown)


def test_clocks() -> None:
    todo = "let all machines keep their time by NTP (timedatectl set-ntp true)"
    assert said("clocks", clocks=Clocks(7.4, -3600.0)) == [
        ("error", "the clock of ClickHouse is 3600 s behind this machine's", todo),
        ("warning", "the clock of Kafka is 7 s ahead of this machine's", todo),
    ]
    assert said("clocks", clocks=Clocks(1.9, -1.9)) == []


def test_versions() -> None:
    changed = replace(
        VERSIONS, python=(3, 10, 9), clickhouse="23.8.1", kafka_lacks=["ids of topics (Metadata 12)"],
        migrations={"0001_events.sql": "changed", "0099_later.sql": "c3"}, roles={"worker": "0.1.0", "archiver": ""},
    )  # fmt: skip
    assert [(severity, sentence) for severity, sentence, _ in said("versions", versions=changed)] == [
        ("error", "Python 3.10.9 is older than 3.11"),
        ("error", "ClickHouse 23.8.1 is older than 24.8"),
        ("error", "ClickHouse lacks 1 migrations: 0002_live.sql"),
        ("error", "ClickHouse has migrations that this version does not know: 0099_later.sql"),
        ("error", "migrations were changed after they were applied: 0001_events.sql"),
        ("warning", "this Kafka does not know ids of topics (Metadata 12)"),
        ("warning", "the worker is version 0.1.0, this command is 0.2.0"),
        ("warning", "the archiver is version before 0.2, this command is 0.2.0"),
    ]


def topic(base: TopicState, **config: str) -> TopicState:
    assert not isinstance(base.config, Unknown)
    return replace(base, config={**base.config, **{name.replace("_", "."): value for name, value in config.items()}})


@pytest.mark.parametrize(
    ("topics", "severity", "sentence", "todo"),
    [
        (replace(TOPICS, events=topic(EVENTS, retention_ms="600000")), "error",
         "events keeps records for 10 min (retention.ms): an outage of the worker or the archiver that lasts longer "
         "loses events", "retention.ms=604800000"),
        (replace(TOPICS, events=topic(EVENTS, retention_ms="43200000")), "warning",
         "events keeps records for 12 h (retention.ms): an outage of the worker or the archiver that lasts longer loses "
         "events", "retention.ms=604800000"),
        (replace(TOPICS, events=topic(EVENTS, cleanup_policy="compact,delete")), "error",
         "events is compacted: of each actor only the last event would be left", "cleanup.policy=delete"),
        (replace(TOPICS, events=topic(EVENTS, max_message_bytes="100000")), "error",
         "events takes records of at most 100000 bytes (max.message.bytes) and 1008000 are needed",
         "max.message.bytes=1048588"),
        (replace(TOPICS, rejected=topic(REJECTED, max_message_bytes="1048588")), "warning",
         "events.rejected takes records of at most 1048588 bytes (max.message.bytes): larger rejected records are cut "
         "short", "max.message.bytes=16777216"),
        (replace(TOPICS, changelog=topic(CHANGELOG, cleanup_policy="compact")), "error",
         "streamgauge-state-changelog is compacted: that takes the worker's state to pieces", "cleanup.policy=delete"),
        (replace(TOPICS, changelog=topic(CHANGELOG, retention_ms="604800000")), "error",
         "streamgauge-state-changelog has retention.ms=604800000: the worker's state would be deleted",
         "retention.ms=-1"),
        (replace(TOPICS, changelog=topic(CHANGELOG, retention_bytes="0")), "error",
         "streamgauge-state-changelog has retention.bytes=0: the worker's state would be deleted",
         "retention.bytes=-1"),
        (replace(TOPICS, changelog=replace(CHANGELOG, partitions=4)), "error",
         "streamgauge-state-changelog has 4 partitions and events has 8",
         "use a new PIPELINE_GROUP and PIPELINE_STREAM: the number can't change while it is counted"),
        (replace(TOPICS, rejected=None), "error", "the topic events.rejected is not there",
         "start a worker, which makes it; where it may not, make it as docs/operate.md says"),
        (replace(TOPICS, events=replace(EVENTS, leaderless=2)), "error",
         "2 of 8 partitions of events have no leader", "start the brokers that are away"),
        (replace(TOPICS, events=replace(topic(EVENTS, min_insync_replicas="2"), replicas=2)), "error",
         "events has 1 in-sync replicas and needs 2 (min.insync.replicas): nothing can be written",
         "start the brokers that are away, or make the setting smaller"),
        (replace(TOPICS, events=replace(EVENTS, replicas=2)), "warning", "events has 1 of 2 replicas in sync",
         "look at the brokers"),
        (replace(TOPICS, events=replace(EVENTS, replicas=3, in_sync=3)), "warning",
         "events acknowledges what one replica alone has (min.insync.replicas=1)", "min.insync.replicas=2"),
        (replace(TOPICS, changelog=replace(CHANGELOG, config=Unknown("not allowed"))), "unknown",
         "the settings of streamgauge-state-changelog could not be looked at: not allowed", ""),
    ],
)  # fmt: skip
def test_topics(topics: Topics, severity: str, sentence: str, todo: str) -> None:
    [(found, text, do)] = said("topics", topics=topics)
    assert (found, text) == (severity, sentence)
    assert do.endswith(todo)


def test_topics_of_a_cluster_that_would_not_stand_the_loss_of_a_disk() -> None:
    """One broker can't have three replicas: there it is no fault."""
    assert [sentence for _, sentence, _ in said("topics", topics=replace(TOPICS, brokers=3))] == [
        "events has 1 replicas on 3 brokers: a lost disk loses records",
        "events.rejected has 1 replicas on 3 brokers: a lost disk loses records",
        "streamgauge-state-changelog has 1 replicas on 3 brokers: a lost disk loses records",
    ]


def test_a_retention_shorter_than_the_plans_lateness() -> None:
    three_days = topic(EVENTS, retention_ms=str(3 * log.DAY_MS))
    found = log.topics(
        replace(TOPICS, events=three_days), EN, lateness_ms=5 * log.DAY_MS, forwarded_bytes=FORWARDED_BYTES
    )
    assert [(one.severity, one.sentence.split(":")[0]) for one in found] == [
        ("warning", "events keeps records for 3 d (retention.ms)")
    ]


def test_rights() -> None:
    """DELETE is bit 6: without it the changelog can't be shortened."""
    lacking = replace(
        TOPICS,
        events=replace(EVENTS, operations=EVERYTHING & ~(1 << log.WRITE)),
        rejected=replace(REJECTED, operations=None),
        changelog=replace(CHANGELOG, operations=1 << log.DESCRIBE),
    )
    assert said("rights", topics=lacking) == [
        ("error", "we may not WRITE the topic events",
         "kafka-acls.sh --add --allow-principal User:… --topic events --operation Write"),
        ("error", "we may not READ, WRITE, DELETE the topic streamgauge-state-changelog",
         "kafka-acls.sh --add --allow-principal User:… --topic streamgauge-state-changelog --operation Read "
         "--operation Write --operation Delete"),
        ("unknown", "what we may do with events.rejected could not be looked at: Kafka does not tell", ""),
    ]  # fmt: skip


def test_plans() -> None:
    differs = "the metrics in streamgauge at http://127.0.0.1:8123 were made of another version of the plan 'Shop'"
    assert [
        (severity, sentence)
        for severity, sentence, _ in said(
            "plan", plans=Plans("Shop", "ab12", {"worker": "cd34", "archiver": ""}, differs)
        )
    ] == [
        ("error", "the worker goes by another plan (cd34) than these settings ('Shop', ab12)"),
        ("error", differs),
        ("unknown", "the plan of the archiver could not be looked at: it is of a version that does not tell"),
    ]


def test_lag_and_what_roles_say() -> None:
    found = said(
        "lag",
        lag=[Lag("worker", 250_000, 100_000), Lag("archiver", None, 500_000)],
        health={
            "archiver": {"role": "archiver", "ready": False, "problems": {"clickhouse": "failing for 9 s: refused"}}
        },
    )
    assert [(severity, sentence) for severity, sentence, _ in found] == [
        ("error", "the archiver says: clickhouse: failing for 9 s: refused"),
        ("warning", "the worker is 250,000 records behind"),
        ("unknown", "the archiver has committed nothing yet: how far behind it is is not known"),
    ]


def test_parts() -> None:
    assert [(severity, sentence) for severity, sentence, _ in said("parts", parts=Parts(1_200, "events_raw", "202611", 2))] == [
        ("error", "events_raw 202611 has 1,200 parts: inserts become slow and then stop"),
        ("error", "ClickHouse has set aside 2 broken parts (system.detached_parts)"),
    ]  # fmt: skip
    assert [severity for severity, _, _ in said("parts", parts=Parts(300, "links_raw", "", 0))] == ["warning"]
    assert said("parts", parts=Parts(299, "links_raw", "", 0)) == []


def test_rejected() -> None:
    [(severity, sentence, _)] = said(
        "rejected", last_hour=LastHour(80, 20, "unknown_event", "the plan has no event 'buy'")
    )
    assert severity == "warning"
    assert sentence == (
        "20.0 % of the last hour's 100 records were rejected, most as unknown_event: the plan has no event 'buy'"
    )
    assert said("rejected", last_hour=LastHour(0, 19)) == []
    assert said("rejected", last_hour=LastHour(1_000, 50)) == []
    assert said("rejected", last_hour=LastHour(0, 0)) == []


def test_front_door() -> None:
    door = DoorState(
        {"role": "collect", "ready": False, "problems": {"kafka": "not reached yet", "sources": "nobody may send"}},
        0, "/srv/sources.json", open_to_others=True, in_the_clear=True,
    )  # fmt: skip
    assert [(severity, sentence) for severity, sentence, _ in said("front door", front_door=door)] == [
        ("error", "the front door says: kafka: not reached yet"),
        ("warning", "nobody may send: /srv/sources.json has no source"),
        ("warning", "others of this machine can read /srv/sources.json"),
        ("warning", "the front door listens beyond the loopback address without TLS: write keys and events can be read "
                    "on the way"),
    ]  # fmt: skip
    broken = replace(GOOD.front_door, sources=Unknown("the sources in s.json can't be read: the file: Invalid JSON"))
    [(severity, sentence, _)] = said("front door", front_door=broken)
    assert (severity, sentence) == ("error", "the sources in s.json can't be read: the file: Invalid JSON")


@pytest.mark.parametrize("problems", [None, "x", ["a"], {"x": {"y": "z"}}])
def test_a_health_that_says_something_odd_stops_nobody(problems: object) -> None:
    found = data.role_health("worker", {"ready": "yes", "problems": problems}, EN)
    assert all(isinstance(one, Advice) and one.severity == "error" for one in found)


def test_it_speaks_chinese() -> None:
    found = machine.disk([DiskSpace("data", 0, GIB)], ZH)
    assert list(lines(found, ZH)) == [
        "磁盘：错误：data 只剩 0 MiB，共 1.0 GiB（0%）",
        "    清理空间、换更大的磁盘，或缩短保留时间（见 docs/zh/operate.md）；磁盘写满不会丢失已确认的事件，但新事件无法写入",
        "正常：端口、内存、时钟、版本、主题、权限、埋点方案、积压、数据片段、被拒记录、采集入口、收藏内容",
        "1 个错误，0 个警告，0 项未检查",
    ]
    assert exit_code(found) == 1


def test_a_folder_that_is_not_there_yet_is_on_the_disk_of_its_parent(tmp_path: Path) -> None:
    here = disk_of(tmp_path)
    assert disk_of(tmp_path / "a" / "b") == replace(
        here, name=str(tmp_path / "a" / "b"), free=pytest.approx(here.free, rel=0.1)
    )
