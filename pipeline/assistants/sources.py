"""Where a tool's answer comes from: the plan, the store, the clock; and why there is no answer, in one line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from pipeline.clickhouse.questions import Rows, Store, StoreError
from pipeline.errors import UserError
from pipeline.explore.sql import Sql
from pipeline.kept.current import kept_of
from pipeline.metrics.ask import require_plan
from pipeline.settings import Settings
from schemas.plan import Plan


@dataclass(frozen=True)
class AnswerSources:
    """What every tool reads."""

    plan: Plan
    settings: Settings
    store: Store
    #: Epoch ms.
    clock: Callable[[], int]

    @property
    def today(self) -> date:
        """The day that it is in the plan's time zone."""
        return self.moment().date()

    def moment(self) -> datetime:
        """Now, in the plan's time zone."""
        return datetime.fromtimestamp(self.clock() / 1000, self.plan.zone)

    def segments(self) -> Mapping[str, Mapping[str, str]]:
        """The segments that people keep in the dashboard, as its bar writes them. Raises UserError, DependencyError."""
        return kept_of(self.settings).rules

    async def ask(self, sql: Sql) -> Rows:
        """The answer to a query. Raises UserError where the views are another plan's, StoreError."""
        await require_plan(self.store, self.plan)
        return await self.store.ask(sql.text, sql.values, keep=30.0)

    def require_people(self, what: str) -> None:
        """Raise UserError where single people may not be looked at."""
        if not self.settings.dashboard_people:
            raise UserError(f"{what}, and this installation shows no single people (PIPELINE_DASHBOARD_PEOPLE)")

    def about(self) -> dict[str, Any]:
        """What every answer carries: of which product, in which time zone, when."""
        return {
            "product": self.plan.product, "time_zone": self.plan.timezone,
            "answered_at": self.moment().isoformat(timespec="seconds"),
        }  # fmt: skip


def no_answer(error: StoreError, url: str) -> str:
    """Why ClickHouse gave no answer, and what to do, in one line."""
    match error.kind:
        case "away":
            return f"ClickHouse does not answer at {url}: is it running, and is PIPELINE_CLICKHOUSE_URL right?"
        case "empty":
            return "ClickHouse has not these views yet: run `streamgauge migrate`"
        case "limit":
            return f"the question is too large for its limits: ask for fewer days or values ({error.detail})"
        case "denied":
            return (
                "ClickHouse refuses it: are PIPELINE_DASHBOARD_CLICKHOUSE_USER and _PASSWORD right, and may that user "
                f"read the database? ({error.detail})"
            )
    return f"ClickHouse could not answer: {error.detail}"
