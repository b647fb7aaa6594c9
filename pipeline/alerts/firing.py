"""The plan's alerts, as Prometheus says: those that fire now, and those that fired in the days of a report."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import aiohttp

log = logging.getLogger(__name__)

EVERY_SECONDS: Final = 10.0
_TIMEOUT: Final = aiohttp.ClientTimeout(total=5)
#: Prometheus answers with at most 11,000 points a series.
_POINTS: Final = 5_000


@dataclass(frozen=True)
class Firing:
    """An alert: what it is called, what happened, what to do; since when and until when, epoch ms."""

    name: str
    title: str
    summary: str
    todo: str
    since: int
    until: int | None = None


class Alerts:
    """Asks Prometheus at `url` (None: there is none) every ten seconds for what fires."""

    def __init__(self, url: str | None) -> None:
        self._url = url
        self.firing: list[Firing] = []
        #: Why Prometheus did not answer, empty while it does.
        self.problem = ""

    @property
    def known(self) -> bool:
        """Whether there is a Prometheus to ask."""
        return self._url is not None

    async def run(self) -> None:
        """Ask until cancelled."""
        if self._url is None:
            return
        async with aiohttp.ClientSession(timeout=_TIMEOUT) as session:
            while True:
                try:
                    async with session.get(f"{self._url}/api/v1/alerts") as answer:
                        self.firing = firing(await answer.json())
                    self.problem = ""
                except (aiohttp.ClientError, TimeoutError, OSError, ValueError, KeyError) as exc:
                    self.firing, self.problem = [], type(exc).__name__
                await asyncio.sleep(EVERY_SECONDS)


def firing(answer: Mapping[str, Any]) -> list[Firing]:
    """What fires, of the answer of `/api/v1/alerts`; the oldest first. Raises KeyError for another answer."""
    found = []
    for alert in answer["data"]["alerts"]:
        # An alert of kind "cause" only keeps others quiet.
        if alert["state"] == "firing" and alert["labels"].get("kind") != "cause":
            words, name = alert.get("annotations", {}), alert["labels"]["alertname"]
            since = int(datetime.fromisoformat(alert["activeAt"]).timestamp() * 1000)
            found.append(
                Firing(name, words.get("title") or name, words.get("summary", ""), words.get("todo", ""), since)
            )
    return sorted(found, key=lambda alert: (alert.since, alert.name))


async def fired(url: str, start: int, end: int) -> list[Firing]:
    """The alerts that fired in `[start, end)` (epoch ms), each with its first and last moment.

    Raises what the client raises.
    """
    step = max(60, (end - start) // 1000 // _POINTS)
    asked: dict[str, str | float] = {
        "query": 'ALERTS{alertstate="firing"}',
        "start": start / 1000,
        "end": end / 1000 - 1,
        "step": step,
    }
    async with (
        aiohttp.ClientSession(timeout=_TIMEOUT) as session,
        session.get(f"{url}/api/v1/query_range", params=asked) as answer,
    ):
        return history(await answer.json())


def history(answer: Mapping[str, Any]) -> list[Firing]:
    """What fired, of the answer of `/api/v1/query_range`, by name and the labels that tell series apart."""
    found = []
    for series in answer["data"]["result"]:
        labels = dict(series["metric"])
        name = labels.pop("alertname", "")
        own = ("__name__", "alertstate", "severity", "job", "instance", "tell")
        shown = ", ".join(f"{key} {value}" for key, value in sorted(labels.items()) if key not in own)
        times = [int(float(at) * 1000) for at, _ in series["values"]]
        if times:
            found.append(Firing(name, name, shown, "", times[0], times[-1]))
    return sorted(found, key=lambda alert: (alert.since, alert.name))
