"""What is stored and by whom: plans, parts, rejected records, the front door. Pure: facts in, advice out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pipeline.doctor.machine import called, not_known
from pipeline.doctor.model import Advice, Unknown
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
    database: str | Unknown | None


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
                "plan", t(f"the plan of the {role}", f" {role} 的埋点方案"),
                Unknown(t("it is of a version that does not tell", "其版本较旧，未告知")), t,
            ))  # fmt: skip
        elif digest != found.digest:
            said.append(Advice(
                "plan", "error",
                t(f"{called(role, t)} goes by another plan ({digest}) than these settings ({found.product!r}, {found.digest})",
                  f"{called(role, t).strip()} 使用的埋点方案（{digest}）与当前设置（{found.product!r}，{found.digest}）不同"),
                t("restart all roles with one plan: workers and archivers that differ judge records differently",
                  "用同一份方案重启所有角色：worker 与 archiver 方案不同，对记录的判断就不同"),
            ))  # fmt: skip
    if isinstance(found.database, Unknown):
        said.append(not_known("plan", t("the plan in ClickHouse", "ClickHouse 里的埋点方案"), found.database, t))
    elif found.database is not None:
        said.append(Advice(
            "plan", "error", found.database,
            t("run `streamgauge migrate` with the plan that is meant", "用要用的方案运行 `streamgauge migrate`"),
        ))  # fmt: skip
    return said


def parts(found: Parts | Unknown, t: Language) -> list[Advice]:
    """Tables in too many pieces, and pieces that are broken."""
    if isinstance(found, Unknown):
        return [not_known("parts", t("the parts of tables", "各表的数据片段"), found, t)]
    said = []
    if found.most >= _MANY_PARTS:
        where = f"{found.table} {found.partition}".strip()
        said.append(Advice(
            "parts", "error" if found.most >= _TOO_MANY_PARTS else "warning",
            t(f"{where} has {found.most:,} parts: inserts become slow and then stop",
              f"{where} 有 {found.most:,} 个数据片段：写入会变慢，直至停止"),
            t("give ClickHouse time or a faster disk; fewer, larger inserts help (PIPELINE_ARCHIVER_BATCH_SECONDS)",
              "给 ClickHouse 时间或更快的磁盘；减少写入次数（PIPELINE_ARCHIVER_BATCH_SECONDS）"),
        ))  # fmt: skip
    if found.broken:
        said.append(Advice(
            "parts", "error",
            t(f"ClickHouse has set aside {found.broken:,} broken parts (system.detached_parts)",
              f"ClickHouse 搁置了 {found.broken:,} 个损坏的数据片段（system.detached_parts）"),
            t("check the disk; restore a back-up, or count anew from Kafka as far as the topic reaches",
              "检查磁盘；从备份恢复，或在主题保留范围内从 Kafka 重新计数"),
        ))  # fmt: skip
    return said


def rejected(found: LastHour | Unknown, t: Language) -> list[Advice]:
    """Whether many of the last hour's records were no events of the plan."""
    if isinstance(found, Unknown):
        return [not_known("rejected", t("the records of the last hour", "最近一小时的记录"), found, t)]
    total = found.stored + found.rejected
    if found.rejected < _REJECTED_COUNT or found.rejected / total < _REJECTED_SHARE:
        return []
    share = t.percent(found.rejected / total)
    return [Advice(
        "rejected", "warning",
        t(f"{share} of the last hour's {total:,} records were rejected, most as {found.reason}: {found.detail}",
          f"最近一小时的 {total:,} 条记录中有 {share} 被拒，最多的原因是 {found.reason}：{found.detail}"),
        t("look at `streamgauge rejected list`, mend the app or the plan, then `streamgauge rejected redrive`",
          "看 `streamgauge rejected list`，修正应用或方案，再 `streamgauge rejected redrive`"),
    )]  # fmt: skip


def front_door(found: DoorState, t: Language) -> list[Advice]:
    """Whether events can come in over HTTP."""
    said = []
    if isinstance(found.health, Unknown):
        said.append(not_known("front door", t("the front door", "采集入口"), found.health, t))
    else:
        said += role_health("collect", found.health, t)
    if isinstance(found.sources, Unknown):
        said.append(Advice(
            "front door", "error", found.sources.why,
            t(f"mend {found.file}, or make it anew with `streamgauge sources add`",
              f"修好 {found.file}，或用 `streamgauge sources add` 重建"),
        ))  # fmt: skip
    elif found.sources == 0 and not isinstance(found.health, Unknown):
        said.append(Advice(
            "front door", "warning",
            t(f"nobody may send: {found.file} has no source", f"没有人可以上报：{found.file} 里没有来源"),
            t("streamgauge sources add NAME", "streamgauge sources add 名称"),
        ))  # fmt: skip
    if found.open_to_others:
        said.append(Advice(
            "front door", "warning",
            t(f"others of this machine can read {found.file}", f"本机其他用户可以读取 {found.file}"),
            f"chmod 600 {found.file}",
        ))  # fmt: skip
    if found.in_the_clear:
        said.append(Advice(
            "front door", "warning",
            t("the front door listens beyond the loopback address without TLS: write keys and events can be read on the "
              "way", "采集入口在回环地址之外以明文监听：写入密钥和事件在途中可被读取"),
            t("set PIPELINE_COLLECT_SSL_CERTFILE, or put a proxy with TLS in front",
              "设置 PIPELINE_COLLECT_SSL_CERTFILE，或在前面放一个 TLS 代理"),
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
            t(f"{called(role, t)} says: {name}: {what}", f"{called(role, t).strip()} 报告：{name}：{what}"),
            t("see docs/operate.md, Health and metrics", "见 docs/zh/operate.md 的“健康与监控”"),
        )
        for name, what in found
        if role != "collect" or name != "sources"  # the file itself is looked at
    ]  # fmt: skip
