"""Who evaluates alerts on one machine, those of the plan and those made in pages: a Prometheus beside the roles."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pipeline.alerts.check import HOW_TO_GET_THEM
from pipeline.alerts.conditions import needing_history
from pipeline.embedded.prometheus import Prometheus
from pipeline.errors import DependencyError, UserError
from pipeline.kept.current import open_kept, with_kept
from pipeline.kept.store import KeptStore
from pipeline.process import cancelled
from pipeline.settings import Settings, plan_of
from schemas.plan import Plan
from schemas.translatable import Sentence, said_of

#: How often it is looked for alerts that were made or removed in a page.
_LOOK_SECONDS: Final = 2.0


@dataclass(frozen=True)
class Evaluation:
    """What evaluates alerts: nothing where there are none, or no Prometheus."""

    prometheus: Prometheus | None = None
    #: Where it is, or why it isn't.
    note: Sentence | None = None


@contextlib.asynccontextmanager
async def evaluating(
    settings: Settings, folder: Path, targets: Mapping[str, str], say: Callable[[str], None],
    *, kept: int | None, held: Sequence[int],
) -> AsyncIterator[Evaluation]:  # fmt: skip
    """Evaluate alerts, those that are made later too, by what the `targets` (name of the role to its address) say.

    Nothing is evaluated without Prometheus, or where there are no alerts and none can be made.

    Prometheus' data are in `folder`. It listens on the port that it has `kept`, or on any. `held` are locks.
    """
    store = open_kept(settings)
    with contextlib.closing(store) if store is not None else contextlib.nullcontext():
        plan = _plan_now(settings, store)
        # Where alerts can be made in pages there may be some in a moment.
        if not (plan.alerting.alerts or store) or not Prometheus.installed():
            yield Evaluation(note=_nobody(plan))
            return
        async with Prometheus(folder, plan, kept=kept, held=held) as prometheus:
            prometheus.scrape(targets)
            following = asyncio.create_task(_follow(settings, store, prometheus, say), name="alerts made in pages")
            try:
                yield Evaluation(prometheus, _where(prometheus, plan))
            finally:
                await cancelled(following)


def _plan_now(settings: Settings, store: KeptStore | None) -> Plan:
    """The plan, with the alerts that were made in pages."""
    plan = plan_of(settings)
    return plan if store is None else with_kept(plan, store.read())[0]


async def _follow(
    settings: Settings, store: KeptStore | None, prometheus: Prometheus, say: Callable[[str], None]
) -> None:
    """Have alerts evaluated soon after they were made or removed in a page."""
    told, loaded = "", None
    while store is not None:
        await asyncio.sleep(_LOOK_SECONDS)
        try:
            kept = store.read()
            if kept is not loaded:
                prometheus.load(_plan_now(settings, store))
            told, loaded = "", kept
        except (DependencyError, UserError, OSError) as exc:
            if told != str(exc):
                told = str(exc)
                say(Sentence("alerts made in pages can't be loaded: {why}", why=said_of(exc)))


def _nobody(plan: Plan) -> Sentence | None:
    """Which alerts nobody evaluates."""
    if not plan.alerting.alerts:
        return None
    names = ", ".join(plan.alerting.alerts)
    return Sentence("not evaluated, for want of Prometheus ({how}): {names}", how=HOW_TO_GET_THEM, names=names)


def _where(prometheus: Prometheus, plan: Plan) -> Sentence:
    """Where alerts are evaluated, and which of them only once there is something to compare with."""
    url, later = f"{prometheus.url}/alerts", ", ".join(needing_history(plan))
    return Sentence("{url}  (after days: {later})", url=url, later=later) if later else Sentence("{url}", url=url)
