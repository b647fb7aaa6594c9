"""The machine: ports, disk, memory, clocks and versions. Pure: facts in, advice out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from pipeline.doctor.model import Advice, Subject, Unknown
from pipeline.render.language import Language

GIB: Final = 1 << 30
MIB: Final = 1 << 20
#: Less room than one of these is an error: ClickHouse merges, and Kafka's segments, need some to go on at all.
_LEAST_FREE: Final = GIB
_LEAST_SHARE, _LOW_SHARE = 0.03, 0.10
_LEAST_MEMORY: Final = 256 * MIB
_LOW_MEMORY_SHARE: Final = 0.10
#: Clocks: what a query of a span of minutes would notice, and what makes events of now late or refused. Seconds.
_CLOCK_WARNING, _CLOCK_ERROR = 2.0, 60.0
#: Which setting says where a server is.
_SETTINGS: Final = {
    "Kafka": "PIPELINE_KAFKA_BOOTSTRAP", "ClickHouse": "PIPELINE_CLICKHOUSE_URL, …_USER, …_PASSWORD",
}  # fmt: skip
OLDEST_PYTHON: Final = (3, 11)
OLDEST_CLICKHOUSE: Final = (24, 8)


@dataclass(frozen=True)
class Listener:
    """A port of a part: who answers there. `taken` is a program that is not ours, `nobody` one that isn't there."""

    part: str
    address: str
    found: Literal["ours", "taken", "nobody", "free"]
    #: Whether the part has to be there for events to be counted and stored.
    needed: bool = True


@dataclass(frozen=True)
class DiskSpace:
    """A folder's file system, or a disk of ClickHouse. Bytes."""

    name: str
    free: int
    total: int


@dataclass(frozen=True)
class Memory:
    """Of the machine or, where that is less, of our control group. Bytes."""

    available: int
    total: int


@dataclass(frozen=True)
class Clocks:
    """How far other clocks are ahead of this machine's, in seconds; None where nothing tells it yet."""

    kafka: float | Unknown | None
    clickhouse: float | Unknown


@dataclass(frozen=True)
class Versions:
    """What runs. `migrations` are checksums by name, as ClickHouse has them; `ours` those of this program."""

    python: tuple[int, int, int]
    clickhouse: str | Unknown
    #: Requests that Kafka doesn't know and we need, or would use.
    kafka_lacks: Sequence[str] | Unknown
    migrations: Mapping[str, str] | Unknown
    ours: Mapping[str, str]
    #: By role that answers: its version.
    roles: Mapping[str, str]
    own: str


def called(part: str, t: Language) -> str:
    """A part as people call it."""
    if part == "collect":
        return t("the front door")
    if part in _SETTINGS:
        return t.of("setting", "{part}", part=part)
    return t("the {part}", part=part)


def ports(found: Sequence[Listener], t: Language) -> list[Advice]:
    """Parts that don't answer where they should, and ports that others have."""
    said = []
    for one in found:
        if one.found == "taken":
            said.append(Advice(
                "ports", "error",
                t("at {address}, the port of {part}, another program answers", address=one.address, part=called(one.part, t)),
                t("end that program, or give the part another port (PIPELINE_*_PORT)"),
            ))  # fmt: skip
        elif one.found == "nobody" and one.needed:
            said.append(Advice(
                "ports", "error",
                t("nothing answers at {address}, where {part} should be", address=one.address, part=called(one.part, t)),
                _start(one.part, t),
            ))  # fmt: skip
        elif one.found == "nobody":
            said.append(Advice(
                "ports", "unknown",
                t("nothing answers at {address}: {part} was not looked at", address=one.address, part=called(one.part, t)),
            ))  # fmt: skip
    return said


def _start(part: str, t: Language) -> str:
    if part in _SETTINGS:
        return t("start it, or set {settings} to where it is", settings=_SETTINGS[part])
    return t("start it: `streamgauge up`, or `streamgauge {part}`; its log says why it ended", part=part)


def disk(found: Sequence[DiskSpace] | Unknown, t: Language) -> list[Advice]:
    """Disks that are full, or soon will be."""
    if isinstance(found, Unknown):
        return [not_known("disk", t("the disks of ClickHouse"), found, t)]
    said = []
    for one in found:
        share = one.free / one.total if one.total else 0.0
        low = one.free < _LEAST_FREE or share < _LEAST_SHARE
        if low or share < _LOW_SHARE:
            said.append(Advice(
                "disk", "error" if low else "warning",
                t("{name} has {free} of {total} free ({share})", name=one.name, free=size(one.free), total=size(one.total), share=f'{share:.0%}'),
                t("make room, use a larger disk, or keep events for a shorter time (retention in "
"docs/operate.md); a full disk loses nothing that was acknowledged, and nothing new is stored"),
            ))  # fmt: skip
    return said


def memory(found: Memory | Unknown, t: Language) -> list[Advice]:
    """Too little memory for the parts to stay alive."""
    if isinstance(found, Unknown):
        return [not_known("memory", t("memory"), found, t)]
    share = found.available / found.total if found.total else 0.0
    if found.available >= _LEAST_MEMORY and share >= _LOW_MEMORY_SHARE:
        return []
    return [Advice(
        "memory", "error" if found.available < _LEAST_MEMORY else "warning",
        t("{available} of {total} of memory are available", available=size(found.available), total=size(found.total)),
        t("end other programs, or give the machine more: the system kills a part when there is none left"),
    )]  # fmt: skip


def clocks(found: Clocks, t: Language) -> list[Advice]:
    """Clocks that differ from this machine's."""
    said = []
    for name, ahead in (("Kafka", found.kafka), ("ClickHouse", found.clickhouse)):
        if isinstance(ahead, Unknown):
            said.append(not_known("clocks", t("the clock of {name}", name=name), ahead, t))
        elif ahead is not None and abs(ahead) >= _CLOCK_WARNING:
            way = t("ahead of") if ahead > 0 else t("behind")
            said.append(Advice(
                "clocks", "error" if abs(ahead) >= _CLOCK_ERROR else "warning",
                t("the clock of {name} is {ahead} s {way} this machine's", name=name, ahead=f'{abs(ahead):.0f}', way=way),
                t("let all machines keep their time by NTP (timedatectl set-ntp true)"),
            ))  # fmt: skip
    return said


def versions(found: Versions, t: Language) -> list[Advice]:
    """What is too old, too new, or not the same everywhere."""
    said = []
    if found.python[:2] < OLDEST_PYTHON:
        said.append(_too_old("Python", ".".join(map(str, found.python)), "3.11", t))
    if isinstance(found.clickhouse, Unknown):
        said.append(not_known("versions", t("the version of ClickHouse"), found.clickhouse, t))
    elif _numbers(found.clickhouse) < OLDEST_CLICKHOUSE:
        said.append(_too_old("ClickHouse", found.clickhouse, ".".join(map(str, OLDEST_CLICKHOUSE)), t))
    if isinstance(found.kafka_lacks, Unknown):
        said.append(not_known("versions", t("what Kafka can do"), found.kafka_lacks, t))
    elif found.kafka_lacks:
        lacks = ", ".join(found.kafka_lacks)
        said.append(Advice(
            "versions", "warning",
            t("this Kafka does not know {lacks}", lacks=lacks),
            t("use Apache Kafka 2.8 or newer: a topic that was made anew is else not recognised, and the "
"changelog grows"),
        ))  # fmt: skip
    said += _migrations(found, t)
    for role, version in found.roles.items():
        if version != found.own:
            said.append(Advice(
                "versions", "warning",
                t("the {role} is version {value}, this command is {own}", role=role, value=version or t("before 0.2"), own=found.own),
                t("restart it with the new version"),
            ))  # fmt: skip
    return said


def _migrations(found: Versions, t: Language) -> list[Advice]:
    done = found.migrations
    if isinstance(done, Unknown):
        return [not_known("versions", t("the schema in ClickHouse"), done, t)]
    said = []
    if missing := sorted(found.ours.keys() - done.keys()):
        said.append(Advice(
            "versions", "error",
            t("ClickHouse lacks {n} migrations: {names}", n=len(missing), names=', '.join(missing)),
            t("run `streamgauge migrate`"),
        ))  # fmt: skip
    if newer := sorted(done.keys() - found.ours.keys()):
        said.append(Advice(
            "versions", "error",
            t("ClickHouse has migrations that this version does not know: {newer}", newer=', '.join(newer)),
            t("install the newer version of Streamgauge that made them"),
        ))  # fmt: skip
    if changed := sorted(name for name in done.keys() & found.ours.keys() if done[name] != found.ours[name]):
        said.append(Advice(
            "versions", "error",
            t("migrations were changed after they were applied: {changed}", changed=', '.join(changed)),
            t("install Streamgauge anew: a released file is never changed"),
        ))  # fmt: skip
    return said


def _too_old(what: str, found: str, least: str, t: Language) -> Advice:
    return Advice(
        "versions", "error",
        t("{what} {found} is older than {least}", what=what, found=found, least=least),
        t("install {what} {least} or newer", what=what, least=least),
    )  # fmt: skip


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2] if part.isdecimal())


def not_known(subject: Subject, what: str, found: Unknown, t: Language) -> Advice:
    """That something was not looked at, and why."""
    return Advice(
        subject,
        "unknown",
        t("{what} could not be looked at: {why}", what=what, why=t.said(found.why)),
    )


def size(count: int) -> str:
    """`512 MiB`, `1.5 GiB`."""
    if count < GIB:
        return f"{count / MIB:.0f} MiB"
    return f"{count / GIB:.1f} GiB" if count < 100 * GIB else f"{count / GIB:.0f} GiB"
