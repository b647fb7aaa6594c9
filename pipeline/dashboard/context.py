"""What a page is drawn from."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from pipeline.alerts.prometheus import AlertWatch
from pipeline.clickhouse.questions import Store
from pipeline.dashboard.keeping import KeptView
from pipeline.dashboard.live import LiveReader
from pipeline.measure.periods import day_start
from pipeline.render.html import Safe
from pipeline.render.language import Language
from pipeline.settings import Settings
from schemas.plan import Plan

#: What ClickHouse's Date holds, with room for a year before and after.
_FIRST_DAY, _LAST_DAY = date(1971, 1, 1), date(2148, 12, 31)


@dataclass(frozen=True)
class Context:
    """One request: the language, the plan, where numbers come from, and what was asked for.

    No field has a default: a page drawn without one of its sources would say that all is well.
    """

    t: Language
    plan: Plan
    settings: Settings
    live: LiveReader
    store: Store
    alerts: AlertWatch
    #: Epoch ms.
    now: int
    path: str
    query: Mapping[str, str]
    theme: str
    user: str
    #: Whether there is a session that can be ended.
    can_log_out: bool
    #: Boards, segments, annotations and alerts that were made in pages.
    kept: KeptView

    @property
    def today(self) -> date:
        """The day that it is in the plan's time zone."""
        return datetime.fromtimestamp(self.now / 1000, self.plan.zone).date()

    def choice(self, name: str, allowed: list[str]) -> str:
        """The parameter if it is one of `allowed`, else the first of them ("" for none)."""
        asked = self.query.get(name, "")
        return asked if asked in allowed else (allowed[0] if allowed else "")

    def period(self, days: int = 7, ending: int = 0) -> tuple[date, date]:
        """The days asked for, both included; else `days` days up to `ending` days ago. At most a year, never backwards."""
        last = _day(self.query.get("to")) or self.today - timedelta(days=ending)
        first = _day(self.query.get("from")) or last - timedelta(days=days - 1)
        first = min(first, last)
        return max(first, last - timedelta(days=365)), last

    def bounds(self, first: date, last: date) -> tuple[int, int]:
        """Epoch ms of the start of the day `first` and of the end of `last`, in the plan's time zone."""
        return self.day_start(first), self.day_start(last + timedelta(days=1))

    def day_start(self, day: date) -> int:
        """Epoch ms of the first moment of a day in the plan's time zone."""
        return day_start(day, self.plan.zone)

    def with_query(self, **changes: str) -> str:
        """The parameters as a query string, with changes."""
        return urlencode({**{k: v for k, v in self.query.items() if v}, **changes})


def _day(text: str | None) -> date | None:
    try:
        found = date.fromisoformat(text or "")
    except ValueError:
        return None
    # What lies beyond can't be counted on from, nor be asked of ClickHouse.
    return found if _FIRST_DAY <= found <= _LAST_DAY else None


#: A part of a page that is loaded after it.
PartOfPage = Callable[[Context], Awaitable[Safe]]


@dataclass(frozen=True)
class Page:
    """A page: where it is, its English name, and its body without what is loaded later."""

    path: str
    name: str
    body: Callable[[Context], Safe]
    #: Whether it stands in the navigation: one that is about something in another page is reached from there.
    listed: bool = True

    def title(self, t: Language) -> str:
        """The name in a language."""
        return t.of("page", self.name)


def properties(text: str) -> dict[str, Any]:
    """The JSON object of a cell; empty if it is none."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
