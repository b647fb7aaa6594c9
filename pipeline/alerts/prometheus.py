"""What Prometheus says of the plan's alerts: those that are pending or fire now, and those that fired in some days.

The one client of Prometheus: terminal, dashboard, report and the embedded one ask through it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeVar

import aiohttp

T = TypeVar("T")

EVERY_SECONDS: Final = 10.0
_TIMEOUT: Final = aiohttp.ClientTimeout(total=10)
#: Prometheus answers with at most 11,000 points a series.
_POINTS: Final = 5_000
_RANK: Final = {"critical": 0, "warning": 1, "info": 2}
#: Labels of a series of `ALERTS` that say nothing about what the alert is of.
_OWN: Final = ("__name__", "alertstate", "severity", "job", "instance", "tell")


class PrometheusError(Exception):
    """Prometheus can't be reached, or answers with something else than asked for."""


@dataclass(frozen=True)
class ActiveAlert:
    """An alert that is pending, fires or fired: what happened, to whom, what to do; since and until when, epoch ms."""

    name: str
    #: "pending" or "firing".
    state: str
    severity: str
    title: str
    summary: str
    todo: str
    #: Of an alert with `by`, else "".
    segment: str
    since: int
    #: Of an alert that is asked for afterwards: the last moment at which it fired.
    until: int | None = None

    @property
    def firing(self) -> bool:
        """Whether it is told, rather than waiting for its time to be."""
        return self.state == "firing"


class PrometheusClient:
    """Asks the Prometheus at `url`. Each question is a connection of its own, bounded in time."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")

    async def ready(self) -> bool:
        """Whether it is there and has read its rules."""
        try:
            async with aiohttp.ClientSession(timeout=_TIMEOUT) as session, session.get(f"{self.url}/-/ready") as answer:
                return answer.status == 200
        except (aiohttp.ClientError, TimeoutError, OSError):
            return False

    async def alerts(self) -> list[ActiveAlert]:
        """The alerts that are pending or fire now. Raises PrometheusError."""
        return await self._read(active, "alerts", {})

    async def rules(self) -> frozenset[str]:
        """The names of all alerts that it evaluates. Raises PrometheusError."""
        return await self._read(_names_of_rules, "rules", {"type": "alert"})

    async def fired(self, start: int, end: int) -> list[ActiveAlert]:
        """What fired in `[start, end)` (epoch ms), each with its first and last moment. Raises PrometheusError."""
        step = max(60, (end - start) // 1000 // _POINTS)
        return await self._read(
            history, "query_range",
            {"query": 'ALERTS{alertstate="firing"}', "start": start / 1000, "end": end / 1000 - 1, "step": step},
        )  # fmt: skip

    async def query(self, expression: str, **more: str) -> list[dict[str, Any]]:
        """The result of a query; with `start`, `end` and `step` of a range. Raises PrometheusError."""
        path = "query_range" if "step" in more else "query"
        return await self._read(lambda data: list(data["result"]), path, {"query": expression, **more})

    async def _read(self, reading: Callable[[Any], T], path: str, parameters: Mapping[str, str | float]) -> T:
        try:
            async with (
                aiohttp.ClientSession(timeout=_TIMEOUT) as session,
                session.get(f"{self.url}/api/v1/{path}", params=parameters) as response,
            ):
                answer = await response.json()
            if answer["status"] != "success":
                raise ValueError(str(answer.get("error", answer["status"]))[:200])
            return reading(answer["data"])
        except (aiohttp.ClientError, TimeoutError, OSError) as exc:
            raise PrometheusError(f"Prometheus at {self.url} does not answer ({type(exc).__name__})") from exc
        except (ValueError, KeyError, TypeError, AttributeError) as exc:
            raise PrometheusError(f"what answers at {self.url} is not Prometheus's API ({exc})") from exc


class AlertWatch:
    """Asks Prometheus at `url` (None: there is none) every ten seconds for what fires."""

    def __init__(self, url: str | None) -> None:
        self._client = PrometheusClient(url) if url is not None else None
        #: None before the first answer, while Prometheus does not answer, and without one: then nothing is known.
        self.firing: list[ActiveAlert] | None = None
        #: The alerts that Prometheus evaluates; None where that is not known.
        self.known: frozenset[str] | None = None
        #: Why Prometheus did not answer, empty while it does.
        self.problem = ""

    async def run(self) -> None:
        """Ask until cancelled."""
        while self._client is not None:
            try:
                self.firing = [alert for alert in await self._client.alerts() if alert.firing]
                self.known, self.problem = await self._client.rules(), ""
            except PrometheusError as exc:
                self.firing, self.known, self.problem = None, None, str(exc)
            await asyncio.sleep(EVERY_SECONDS)


def _names_of_rules(data: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(str(rule["name"]) for group in data["groups"] for rule in group["rules"])


def active(data: Mapping[str, Any]) -> list[ActiveAlert]:
    """The alerts of the answer of `/api/v1/alerts`: those that fire first, then the most severe, then the oldest."""
    found = []
    for alert in data["alerts"]:
        labels, words = alert["labels"], alert.get("annotations") or {}
        # An alert of kind "cause" only keeps others quiet.
        if labels.get("kind") == "cause":
            continue
        name = labels["alertname"]
        since = int(datetime.fromisoformat(alert["activeAt"]).timestamp() * 1000)
        found.append(
            ActiveAlert(
                name, alert["state"], labels.get("severity", ""), words.get("title") or name, words.get("summary", ""),
                words.get("todo", ""), labels.get("segment", ""), since,
            )
        )  # fmt: skip
    return sorted(found, key=lambda a: (not a.firing, _RANK.get(a.severity, 3), a.since, a.name))


def history(data: Mapping[str, Any]) -> list[ActiveAlert]:
    """What fired, of the answer of `/api/v1/query_range`, by name and the labels that tell series apart."""
    found = []
    for series in data["result"]:
        labels = dict(series["metric"])
        name = labels.pop("alertname", "")
        shown = ", ".join(f"{key} {value}" for key, value in sorted(labels.items()) if key not in _OWN)
        times = [int(float(at) * 1000) for at, _ in series["values"]]
        if times:
            severity, segment = labels.get("severity", ""), labels.get("segment", "")
            found.append(ActiveAlert(name, "firing", severity, name, shown, "", segment, times[0], times[-1]))
    return sorted(found, key=lambda alert: (alert.since, alert.name))
