"""Whether anything is wrong, in words: rules over the live figures. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pipeline.alerts.prometheus import AlertWatch
from pipeline.render.language import Language
from pipeline.serve.answers import LiveAnswer
from schemas.duration import MINUTE

#: How long without a newer event is worth a word (a small product has none for a minute now and then), and records
#: waiting that are too many.
STALE_MS: Final = 5 * MINUTE
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
                t("No worker answers ({addresses}).", addresses=addresses),
                t("Figures stand still. Start `streamgauge worker`, or correct PIPELINE_DASHBOARD_WORKERS."),
            )
        )  # fmt: skip
    elif failing:
        found.append(
            Trouble(
                t("{failing} worker(s) do not answer.", failing=len(failing)),
                t("Figures lack their partitions until they are back."),
            )
        )
    for alert in (alerts.firing or ()) if told else ():
        lasts = t.duration(max(0, now - alert.since))
        what = t("Alert for {lasts}: {title}.", lasts=lasts, title=alert.title)
        found.append(Trouble(what, " ".join(filter(None, (alert.summary, alert.todo)))))
    if alerts.problem:
        found.append(
            Trouble(
                t("Prometheus does not answer: whether an alert fires is not known."),
                t("Start it, or correct PIPELINE_PROMETHEUS_URL."),
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
                t("{rejected} of all records are rejected.", rejected=t.percent(rejected / seen)),
                t("An app may break the tracking plan: see Data quality."),
            )
        )
    if numbers["publish_error"] or store == "away":
        found.append(
            Trouble(
                t("ClickHouse does not answer."),
                t("Live figures go on; history waits until it is back. Nothing is lost."),
            )
        )  # fmt: skip
    return found


def _stream(t: Language, numbers: LiveAnswer) -> list[Trouble]:
    lag, behind = numbers["lag"] or 0, numbers["freshness_ms"]
    if lag > MANY_WAITING:
        return [
            Trouble(
                t("{lag} records wait to be counted.", lag=t.number(lag)),
                t("Figures are behind. Start more workers if this does not shrink."),
            )
        ]
    if behind is not None and behind > STALE_MS:
        return [
            Trouble(
                t("No new event for {behind}.", behind=t.duration(behind)),
                t("Have the producers stopped?"),
            )
        ]
    return []


def status(t: Language, numbers: LiveAnswer | None, wrong: int) -> tuple[str, bool]:
    """The line in the head of every page, and whether it is good news."""
    if numbers is None and wrong <= 1:
        return t("waiting for a worker"), False
    if wrong or numbers is None:
        return t("{wrong} problem{s}", wrong=wrong, s="s" if wrong > 1 else ""), False
    if numbers["freshness_ms"] is None:
        return t("no events yet"), True
    behind = t.ago(numbers["freshness_ms"])
    return t("live, {behind} behind", behind=behind), True
