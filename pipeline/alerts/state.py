"""Which alerts are pending or firing, as Prometheus tells it: for the terminal and the dashboard."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, TypedDict

import aiohttp

from schemas.plan import Plan

_TIMEOUT: Final = aiohttp.ClientTimeout(total=4)
_RANK: Final = {"critical": 0, "warning": 1, "info": 2}


class Alerting(TypedDict):
    """One alert of the plan that is pending or firing."""

    name: str
    state: str  # pending or firing
    severity: str
    title: str
    summary: str
    advice: str
    segment: str  # of an alert with `by`, else ""
    since: str  # RFC 3339


async def alerting(url: str) -> list[Alerting] | None:
    """The alerts at `url`, the most severe first; None if Prometheus can't be reached."""
    try:
        async with (
            aiohttp.ClientSession(timeout=_TIMEOUT) as session,
            session.get(url.rstrip("/") + "/api/v1/alerts") as response,
        ):
            answer = await response.json()
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
        return None
    return of(answer["data"]["alerts"]) if answer.get("status") == "success" else None


def of(alerts: Iterable[Mapping[str, Any]]) -> list[Alerting]:
    """Prometheus's alerts as ours, without those that only silence others."""
    found: list[Alerting] = []
    for alert in alerts:
        labels, texts = alert["labels"], alert["annotations"]
        if labels.get("kind") == "cause":
            continue
        found.append(
            {
                "name": labels["alertname"],
                "state": alert["state"],
                "severity": labels.get("severity", ""),
                "title": texts.get("title", labels["alertname"]),
                "summary": texts.get("summary", ""),
                "advice": texts.get("todo", ""),
                "segment": labels.get("segment", ""),
                "since": alert["activeAt"],
            }
        )
    return sorted(found, key=lambda a: (a["state"] != "firing", _RANK.get(a["severity"], 3), a["since"], a["name"]))


def needing_history(plan: Plan) -> list[str]:
    """Alerts that say nothing before Prometheus has some days of history."""
    alerts = plan.alerting.alerts.items()
    return [name for name, alert in alerts if alert.condition in ("drop", "rise", "unusual")]
