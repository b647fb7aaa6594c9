"""What is stored and by whom: plans, parts, rejected records, the front door. Pure: facts in, advice out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pipeline.doctor.machine import called, not_known
from pipeline.doctor.model import Advice, Unknown
from pipeline.errors import UserError
from pipeline.render.language import Language

#: ClickHouse refuses inserts into a partition with 3,000 parts, and slows them down from 1,000 on.
_MANY_PARTS, _TOO_MANY_PARTS = 300, 1_000
#: A share of rejected records that is worth a look, and how many it takes for a share to mean something.
_REJECTED_SHARE, _REJECTED_COUNT = 0.05, 20


@dataclass(frozen=True)
class Plans:
    """The plan of the settings, and which ones the roles and the database have."""

    product: str
    digest: str
    #: By role that answers: the digest of its plan, "" where it doesn't tell.
    roles: Mapping[str, str]
    #: What differs in the database, in words; None where nothing does.
    database: UserError | Unknown | None


@dataclass(frozen=True)
class Parts:
    """The most parts that a partition of a table has, and what ClickHouse has set aside as broken."""

    most: int
    table: str
    partition: str
    broken: int


@dataclass(frozen=True)
class LastHour:
    """Records stored in the last hour by what became of them, and the commonest reason of the rejected."""

    stored: int
    rejected: int
    reason: str = ""
    detail: str = ""


@dataclass(frozen=True)
class DoorState:
    """What the front door says of itself, and the file of sources."""

    health: Mapping[str, Any] | Unknown
    #: Sources whose keys are good; why the file can't be read.
    sources: int | Unknown
    file: str
    #: Whether others than its owner may read the file.
    open_to_others: bool = False
    #: Whether it listens beyond the loopback address without TLS.
    in_the_clear: bool = False


def plans(found: Plans, t: Language) -> list[Advice]:
    """Roles or a database that go by another plan."""
    said = []
    for role, digest in found.roles.items():
        if not digest:
            said.append(not_known(
                "plan", t("the plan of the {role}", role=role),
                Unknown(t("it is of a version that does not tell")), t,
            ))  # fmt: skip
        elif digest != found.digest:
            said.append(Advice(
                "plan", "error",
                t("{role} goes by another plan ({digest}) than these settings ({product}, {own})", role=called(role, t).strip(), digest=digest, product=repr(found.product), own=found.digest),
                t("restart all roles with one plan: workers and archivers that differ judge records differently"),
            ))  # fmt: skip
    if isinstance(found.database, Unknown):
        said.append(not_known("plan", t("the plan in ClickHouse"), found.database, t))
    elif found.database is not None:
        said.append(Advice(
            "plan", "error", t.said(found.database),
            t("run `streamgauge migrate` with the plan that is meant"),
        ))  # fmt: skip
    return said


def parts(found: Parts | Unknown, t: Language) -> list[Advice]:
    """Tables in too many pieces, and pieces that are broken."""
    if isinstance(found, Unknown):
        return [not_known("parts", t("the parts of tables"), found, t)]
    said = []
    if found.most >= _MANY_PARTS:
        where = f"{found.table} {found.partition}".strip()
        said.append(Advice(
            "parts", "error" if found.most >= _TOO_MANY_PARTS else "warning",
            t("{where} has {most} parts: inserts become slow and then stop", where=where, most=f'{found.most:,}'),
            t("give ClickHouse time or a faster disk; fewer, larger inserts help "
"(PIPELINE_ARCHIVER_BATCH_SECONDS)"),
        ))  # fmt: skip
    if found.broken:
        said.append(Advice(
            "parts", "error",
            t("ClickHouse has set aside {broken} broken parts (system.detached_parts)", broken=f'{found.broken:,}'),
            t("check the disk; restore a back-up, or count anew from Kafka as far as the topic reaches"),
        ))  # fmt: skip
    return said


def rejected(found: LastHour | Unknown, t: Language) -> list[Advice]:
    """Whether many of the last hour's records were no events of the plan."""
    if isinstance(found, Unknown):
        return [not_known("rejected", t("the records of the last hour"), found, t)]
    total = found.stored + found.rejected
    if found.rejected < _REJECTED_COUNT or found.rejected / total < _REJECTED_SHARE:
        return []
    share = t.percent(found.rejected / total)
    return [Advice(
        "rejected", "warning",
        t("{share} of the last hour's {total} records were rejected, most as {reason}: {detail}", share=share, total=f'{total:,}', reason=found.reason, detail=t.read(found.detail)[:200]),
        t("look at `streamgauge rejected list`, mend the app or the plan, then `streamgauge rejected "
"redrive`"),
    )]  # fmt: skip


def front_door(found: DoorState, t: Language) -> list[Advice]:
    """Whether events can come in over HTTP."""
    said = []
    if isinstance(found.health, Unknown):
        said.append(not_known("front door", t("the front door"), found.health, t))
    else:
        said += role_health("collect", found.health, t)
    if isinstance(found.sources, Unknown):
        said.append(Advice(
            "front door", "error", t.said(found.sources.why),
            t("mend {file}, or make it anew with `streamgauge sources add`", file=found.file),
        ))  # fmt: skip
    elif found.sources == 0 and not isinstance(found.health, Unknown):
        said.append(Advice(
            "front door", "warning",
            t("nobody may send: {file} has no source", file=found.file),
            t("streamgauge sources add NAME"),
        ))  # fmt: skip
    if found.open_to_others:
        said.append(Advice(
            "front door", "warning",
            t("others of this machine can read {file}", file=found.file),
            f"chmod 600 {found.file}",
        ))  # fmt: skip
    if found.in_the_clear:
        said.append(Advice(
            "front door", "warning",
            t("the front door listens beyond the loopback address without TLS: write keys and events can be "
"read on the way"),
            t("set PIPELINE_COLLECT_SSL_CERTFILE, or put a proxy with TLS in front"),
        ))  # fmt: skip
    return said


def role_health(role: str, health: Mapping[str, Any], t: Language) -> list[Advice]:
    """What a role says of itself, in its own words."""
    problems = health.get("problems")
    found: Sequence[tuple[Any, Any]] = list(problems.items()) if isinstance(problems, Mapping) else []
    ready = health.get("ready") is True
    subject: Final = "front door" if role == "collect" else "lag"
    return [
        Advice(
            subject, "warning" if ready else "error",
            t("{role} says: {name}: {what}", role=called(role, t).strip(), name=name, what=what),
            t("see docs/operate.md, Health and metrics"),
        )
        for name, what in found
        if role != "collect" or name != "sources"  # the file itself is looked at
    ]  # fmt: skip
