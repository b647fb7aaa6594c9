"""Kafka: topics, rights, and how far behind the roles are. Pure: facts in, advice out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pipeline.doctor.machine import not_known
from pipeline.doctor.model import Advice, Unknown
from pipeline.render.language import Language

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
#: What the rejected topic is made with: the largest record that is kept whole.
REJECTED_BYTES: Final = 16 << 20
#: Records that a role may be behind, as docs/operate.md says to alert on.
WORKER_LAG, ARCHIVER_LAG = 100_000, 500_000
#: Numbers of Kafka's operations (AclOperation), as its answers about a topic have them, one bit each.
READ, WRITE, DELETE, DESCRIBE = 3, 4, 6, 8
_NAMES: Final = {READ: "READ", WRITE: "WRITE", DELETE: "DELETE", DESCRIBE: "DESCRIBE"}


@dataclass(frozen=True)
class TopicState:
    """A topic as Kafka has it. `config` are its settings, by name."""

    name: str
    partitions: int
    replicas: int
    #: The fewest in-sync replicas of a partition, and partitions without a leader.
    in_sync: int
    leaderless: int
    config: Mapping[str, str] | Unknown
    #: Operations that we may do, as bits by number; None where Kafka doesn't tell.
    operations: int | None


@dataclass(frozen=True)
class Topics:
    """The three topics, None for one that isn't there, and how many brokers there are."""

    brokers: int
    events: TopicState | None
    rejected: TopicState | None
    changelog: TopicState | None
    #: Their names, in the same order.
    names: tuple[str, str, str]


@dataclass(frozen=True)
class Lag:
    """Records that a role has not handled; None while nothing was committed."""

    role: str
    behind: int | Unknown | None
    allowed: int


def topics(found: Topics | Unknown, t: Language, *, lateness_ms: int, forwarded_bytes: int) -> list[Advice]:
    """Topics that don't fit together, lose records, or don't stand the loss of a broker.

    `lateness_ms` is the plan's; `forwarded_bytes` what the events topic must take in one record.
    """
    if isinstance(found, Unknown):
        return [not_known("topics", t("topics"), found, t)]
    said: list[Advice] = []
    for name, topic in zip(found.names, (found.events, found.rejected, found.changelog), strict=True):
        if topic is None:
            said.append(_error(
                t("the topic {name} is not there", name=name),
                t("start a worker, which makes it; where it may not, make it as docs/operate.md says"),
            ))  # fmt: skip
        else:
            said += _standing(topic, found.brokers, t)
    if found.events is not None:
        said += _events(found.events, t, max(DAY_MS, lateness_ms), forwarded_bytes)
    if found.changelog is not None:
        said += _changelog(found.changelog, found.events, t)
    if found.rejected is not None and 0 <= (_number(found.rejected, "max.message.bytes") or -1) < REJECTED_BYTES:
        name, limit = found.rejected.name, _number(found.rejected, "max.message.bytes")
        said.append(_warning(
            t("{name} takes records of at most {limit} bytes (max.message.bytes): larger rejected records are "
"cut short", name=name, limit=limit),
            _alter(name, f"max.message.bytes={REJECTED_BYTES}"),
        ))  # fmt: skip
    for topic in (found.events, found.rejected, found.changelog):
        if topic is not None and isinstance(topic.config, Unknown):
            said.append(not_known("topics", t("the settings of {name}", name=topic.name), topic.config, t))
    return said


def _standing(topic: TopicState, brokers: int, t: Language) -> list[Advice]:
    said = []
    least = _number(topic, "min.insync.replicas") or 1
    if topic.leaderless:
        said.append(_error(
            t("{leaderless} of {partitions} partitions of {name} have no leader", leaderless=topic.leaderless, partitions=topic.partitions, name=topic.name),
            t("start the brokers that are away"),
        ))  # fmt: skip
    elif topic.in_sync < least:
        said.append(_error(
            t("{name} has {in_sync} in-sync replicas and needs {least} (min.insync.replicas): nothing can be "
"written", name=topic.name, in_sync=topic.in_sync, least=least),
            t("start the brokers that are away, or make the setting smaller"),
        ))  # fmt: skip
    elif topic.in_sync < topic.replicas:
        said.append(_warning(
            t("{name} has {in_sync} of {replicas} replicas in sync", name=topic.name, in_sync=topic.in_sync, replicas=topic.replicas),
            t("look at the brokers"),
        ))  # fmt: skip
    if brokers >= 3 and topic.replicas < 3:
        said.append(_warning(
            t("{name} has {replicas} replicas on {brokers} brokers: a lost disk loses records", name=topic.name, replicas=topic.replicas, brokers=brokers),
            t("raise it to 3 with kafka-reassign-partitions.sh (PIPELINE_REPLICATION holds for new topics)"),
        ))  # fmt: skip
    elif topic.replicas >= 3 and least < 2:
        said.append(_warning(
            t("{name} acknowledges what one replica alone has (min.insync.replicas=1)", name=topic.name),
            _alter(topic.name, "min.insync.replicas=2"),
        ))  # fmt: skip
    return said


def _events(topic: TopicState, t: Language, needed_ms: int, forwarded_bytes: int) -> list[Advice]:
    said = []
    retention = _number(topic, "retention.ms")
    if retention is not None and 0 <= retention < needed_ms:
        said.append(Advice(
            "topics", "error" if retention < HOUR_MS else "warning",
            t("{name} keeps records for {retention} (retention.ms): an outage of the worker or the archiver "
"that lasts longer loses events", name=topic.name, retention=t.duration(retention)),
            _alter(topic.name, f"retention.ms={max(needed_ms, 7 * DAY_MS)}"),
        ))  # fmt: skip
    if "compact" in (_value(topic, "cleanup.policy") or ""):
        said.append(_error(
            t("{name} is compacted: of each actor only the last event would be left", name=topic.name),
            _alter(topic.name, "cleanup.policy=delete"),
        ))  # fmt: skip
    limit = _number(topic, "max.message.bytes")
    if limit is not None and 0 <= limit < forwarded_bytes:
        said.append(_error(
            t("{name} takes records of at most {limit} bytes (max.message.bytes) and {forwarded_bytes} are "
"needed", name=topic.name, limit=limit, forwarded_bytes=forwarded_bytes),
            _alter(topic.name, f"max.message.bytes={max(forwarded_bytes, 1_048_588)}"),
        ))  # fmt: skip
    return said


def _changelog(topic: TopicState, events: TopicState | None, t: Language) -> list[Advice]:
    said = []
    if events is not None and events.partitions != topic.partitions:
        said.append(_error(
            t("{name} has {partitions} partitions and {other} has {others}", name=topic.name, partitions=topic.partitions, other=events.name, others=events.partitions),
            t("use a new PIPELINE_GROUP and PIPELINE_STREAM: the number can't change while it is counted"),
        ))  # fmt: skip
    if "compact" in (_value(topic, "cleanup.policy") or ""):
        said.append(_error(
            t("{name} is compacted: that takes the worker's state to pieces", name=topic.name),
            _alter(topic.name, "cleanup.policy=delete"),
        ))  # fmt: skip
    for name in ("retention.ms", "retention.bytes"):
        if (kept := _number(topic, name)) is not None and kept >= 0:
            said.append(_error(
                t("{name} has {setting}={value}: the worker's state would be deleted", name=topic.name, setting=name, value=kept),
                _alter(topic.name, f"{name}=-1"),
            ))  # fmt: skip
    return said


def rights(found: Topics | Unknown, t: Language) -> list[Advice]:
    """What the user of the settings may not do, as far as Kafka tells."""
    if isinstance(found, Unknown):
        return [not_known("rights", t("rights at Kafka"), found, t)]
    said = []
    wanted: tuple[tuple[TopicState | None, Sequence[int]], ...] = (
        (found.events, (DESCRIBE, READ, WRITE)), (found.rejected, (DESCRIBE, WRITE)),
        (found.changelog, (DESCRIBE, READ, WRITE, DELETE)),
    )  # fmt: skip
    for topic, needed in wanted:
        if topic is None:
            continue
        if topic.operations is None:
            said.append(not_known(
                "rights", t("what we may do with {name}", name=topic.name),
                Unknown(t("Kafka does not tell")), t,
            ))  # fmt: skip
        elif lacking := [_NAMES[bit] for bit in needed if not topic.operations >> bit & 1]:
            what = ", ".join(lacking)
            said.append(Advice(
                "rights", "error",
                t("we may not {what} the topic {name}", what=what, name=topic.name),
                f"kafka-acls.sh --add --allow-principal User:… --topic {topic.name} "
                + " ".join(f"--operation {name.capitalize()}" for name in lacking),
            ))  # fmt: skip
    return said


def lag(found: Sequence[Lag], t: Language) -> list[Advice]:
    """Roles that are far behind."""
    said = []
    for one in found:
        if isinstance(one.behind, Unknown):
            said.append(not_known("lag", t("the lag of the {role}", role=one.role), one.behind, t))
        elif one.behind is None:
            said.append(Advice("lag", "unknown", t("the {role} has committed nothing yet: how far behind it is is not known", role=one.role)))  # fmt: skip
        elif one.behind > one.allowed:
            said.append(Advice(
                "lag", "warning",
                t("the {role} is {behind} records behind", role=one.role, behind=f'{one.behind:,}'),
                t("look at its /health and log; more {role}s help, up to the number of partitions", role=one.role),
            ))  # fmt: skip
    return said


def _error(sentence: str, todo: str) -> Advice:
    return Advice("topics", "error", sentence, todo)


def _warning(sentence: str, todo: str) -> Advice:
    return Advice("topics", "warning", sentence, todo)


def _alter(topic: str, change: str) -> str:
    return f"kafka-configs.sh --alter --entity-type topics --entity-name {topic} --add-config {change}"


def _value(topic: TopicState, name: str) -> str | None:
    return None if isinstance(topic.config, Unknown) else topic.config.get(name)


def _number(topic: TopicState, name: str) -> int | None:
    found = _value(topic, name)
    return int(found) if found and found.lstrip("-").isdecimal() else None
