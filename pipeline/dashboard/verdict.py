"""Whether anything is wrong, in words: rules over the live figures. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pipeline.alerts.prometheus import AlertWatch
from pipeline.render.language import Language
from pipeline.serve.answers import LiveAnswer
from schemas.duration import MINUTE

#: Seconds without a newer event after which it is worth a word, and records waiting that are too many.
STALE_MS: Final = MINUTE
MANY_WAITING: Final = 20_000
#: Share of rejected records that is too much, of at least so many.
REJECTED_SHARE: Final = 0.05
ENOUGH_RECORDS: Final = 200


@dataclass(frozen=True)
class Trouble:
    """One thing that is wrong, and what to do about it."""

    what: str
    advice: str


def problems(
    t: Language,
    numbers: LiveAnswer | None,
    *,
    away: bool,
    failing: Mapping[str, str],
    store: str | None,
    alerts: AlertWatch,
    now: int,
    told: bool = True,
) -> list[Trouble]:
    """What is wrong at `now` (epoch ms); nothing if all is well. `store` is the kind of ClickHouse's problem.

    Alerts that fire are left out where they are not to be `told`, for they are told elsewhere.
    """
    found: list[Trouble] = []
    if numbers is None or away:
        addresses = ", ".join(failing) or "PIPELINE_DASHBOARD_WORKERS"
        found.append(
            Trouble(
                t(f"No worker answers ({addresses}).", f"没有 worker 响应（{addresses}）。"),
                t("Figures stand still. Start `streamgauge worker`, or correct PIPELINE_DASHBOARD_WORKERS.",
                  "数字已停止更新。请启动 `streamgauge worker`，或修正 PIPELINE_DASHBOARD_WORKERS。"),
            )
        )  # fmt: skip
    elif failing:
        found.append(
            Trouble(
                t(f"{len(failing)} worker(s) do not answer.", f"有 {len(failing)} 个 worker 没有响应。"),
                t("Figures lack their partitions until they are back.", "恢复之前，数字不含其分区的数据。"),
            )
        )
    for alert in (alerts.firing or ()) if told else ():
        lasts = t.duration(max(0, now - alert.since))
        what = t(f"Alert for {lasts}: {alert.title}.", f"告警已持续 {lasts}：{alert.title}。")
        found.append(Trouble(what, " ".join(filter(None, (alert.summary, alert.todo)))))
    if alerts.problem:
        found.append(
            Trouble(
                t("Prometheus does not answer: whether an alert fires is not known.",
                  "Prometheus 没有响应：是否有告警未知。"),
                t("Start it, or correct PIPELINE_PROMETHEUS_URL.", "请启动它，或修正 PIPELINE_PROMETHEUS_URL。"),
            )
        )  # fmt: skip
    if numbers is None:
        return found
    if not away:
        found += _stream(t, numbers)
    totals = numbers["totals"]
    seen, rejected = sum(totals.values()), totals.get("rejected", 0)
    if seen >= ENOUGH_RECORDS and rejected > REJECTED_SHARE * seen:
        found.append(
            Trouble(
                t(
                    f"{t.percent(rejected / seen)} of all records are rejected.",
                    f"{t.percent(rejected / seen)} 的记录被拒绝。",
                ),
                t(
                    "An app may break the tracking plan: see Data quality.",
                    "可能有应用不符合埋点方案：请看“数据质量”。",
                ),
            )
        )
    if numbers["publish_error"] or store == "away":
        found.append(
            Trouble(
                t("ClickHouse does not answer.", "ClickHouse 没有响应。"),
                t("Live figures go on; history waits until it is back. Nothing is lost.",
                  "实时数字继续更新；历史数据等它恢复，不会丢失。"),
            )
        )  # fmt: skip
    return found


def _stream(t: Language, numbers: LiveAnswer) -> list[Trouble]:
    lag, behind = numbers["lag"] or 0, numbers["freshness_ms"]
    if lag > MANY_WAITING:
        return [
            Trouble(
                t(f"{t.number(lag)} records wait to be counted.", f"有 {t.number(lag)} 条记录等待统计。"),
                t(
                    "Figures are behind. Start more workers if this does not shrink.",
                    "数字有延迟。若不减少，请增加 worker。",
                ),
            )
        ]
    if behind is not None and behind > STALE_MS:
        return [
            Trouble(
                t(f"No new event for {t.duration(behind)}.", f"已有 {t.duration(behind)} 没有新事件。"),
                t("Have the producers stopped?", "上报端是否停止了？"),
            )
        ]
    return []


def status(t: Language, numbers: LiveAnswer | None, wrong: int) -> tuple[str, bool]:
    """The line in the head of every page, and whether it is good news."""
    if numbers is None and wrong <= 1:
        return t("waiting for a worker", "等待 worker"), False
    if wrong or numbers is None:
        return t(f"{wrong} problem{'s' if wrong > 1 else ''}", f"{wrong} 个问题"), False
    if numbers["freshness_ms"] is None:
        return t("no events yet", "还没有事件"), True
    behind = t.ago(numbers["freshness_ms"])
    return t(f"live, {behind} behind", f"实时，延迟 {behind}"), True
