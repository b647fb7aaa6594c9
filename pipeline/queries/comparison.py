"""What `verify` compares: the archive up to where the live windows are folded, and what came of it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pipeline.clickhouse.client import Connection
from pipeline.ingest.links import MAX_HOPS
from pipeline.measure.sketches import LG_K
from pipeline.queries.persons import owners, with_person
from pipeline.settings import Settings
from schemas.plan import Plan
from schemas.translatable import Sentence

#: Four standard errors of a HyperLogLog with 2^12 registers: 1.04 / sqrt(4096) each.
USERS_RELATIVE_ERROR = 4 * 1.04 / 2 ** (LG_K / 2)
#: Small counts are exact but for rounding and a few hash collisions.
USERS_ABSOLUTE_ERROR = 3
#: For an answer: most of what is asked is of all events, and no page waits for it.
_SECONDS: Final = 600.0


@dataclass
class Difference:
    """One figure that is not the same."""

    measure: str
    where: str
    live: Any
    archived: Any

    @property
    def said(self) -> Sentence:
        """It in words."""
        return Sentence(
            "{measure} of {where}: live {live}, archived {archived}",
            measure=self.measure, where=self.where, live=self.live, archived=self.archived,
        )  # fmt: skip

    def __str__(self) -> str:
        return str(self.said)


@dataclass
class Verification:
    """What was compared, and what differs."""

    windows: int = 0
    funnels: int = 0
    moving: int = 0
    records: int = 0
    differences: list[Difference] = field(default_factory=list)
    #: Partitions of which worker and archiver have not read the same records, and why.
    left_out: dict[int, Sentence] = field(default_factory=dict)
    #: Windows and funnel counters that were closed when somebody in them was linked: live keeps what it said.
    linked_later: int = 0
    #: What only one of the plans has, the worker's or ours, and was not compared: a sentence each.
    in_one_plan: list[Sentence] = field(default_factory=list)
    #: What was not compared because its events may be gone by now: their retention is over.
    removed: Sentence | None = None
    ok: bool = True

    def differ(self, measure: str, where: str, live: Any, archived: Any) -> None:
        """Note a difference."""
        self.differences.append(Difference(measure, where, live, archived))
        self.ok = False


class Comparison:
    """The raw events of the settings' stream before the offsets that the live rows are folded up to (`versions`)."""

    def __init__(self, settings: Settings, plan: Plan) -> None:
        self.settings, self.plan = settings, plan
        seconds = max(_SECONDS, settings.clickhouse_timeout_s)
        self.connection = Connection(settings.model_copy(update={"clickhouse_timeout_s": seconds}))
        self.result = Verification()
        #: By partition.
        self.versions: dict[int, int] = {}
        #: Links that lead from one id to its person: more than one where there are aliases.
        self.hops = MAX_HOPS
        #: What begins up to then (epoch ms) may lack events that retention has removed; -1: nothing has gone.
        self.removed_up_to = -1

    async def query(self, sql: str, **parameters: Any) -> list[Any]:
        """The rows of the answer; `stream`, `left_out` and `versions` are bound for all."""
        return await self.connection.query(sql, self._bound(parameters))

    def _bound(self, parameters: dict[str, Any]) -> dict[str, Any]:
        return {
            **parameters,
            "stream": self.settings.stream,
            "left_out": list(self.result.left_out),
            "versions": [self.versions.get(p, 0) for p in range(max(self.versions, default=-1) + 1)],
        }

    async def command(self, sql: str, settings: Mapping[str, Any], **parameters: Any) -> None:
        """Run a statement with the same bound values."""
        bound = self._bound(parameters)
        await self.connection.run(lambda client: client.command(sql, parameters=bound, settings=dict(settings)))

    def events(self, columns: str = "*", only: str = "") -> str:
        """A sub-query of the events that count live (`only` some), with their persons by what the workers know."""
        rows = f"(SELECT {columns} FROM {self.before('events_raw')} AND NOT late{only})"
        return with_person(rows, owners(self.before("links_raw"), self.before("handovers_raw"), self.hops))

    def before(self, table: str) -> str:
        """What follows FROM: the table's rows of the records that are folded."""
        return (
            f"{table} FINAL WHERE stream = {{stream:String}} AND NOT has({{left_out:Array(UInt16)}}, partition) "
            "AND offset < {versions:Array(UInt64)}[partition + 1]"
        )


def close(estimate: float, exact: int, more: float = 0) -> bool:
    """Within the sketch's error, and `more` besides."""
    return abs(estimate - exact) <= max(USERS_ABSOLUTE_ERROR, USERS_RELATIVE_ERROR * exact) + more


def taken_off(links: int) -> float:
    """By how many persons live may be off because of so many linked ids, though they were linked in time.

    Of what is taken off there is a sketch of its own, and as much more in the one that it is taken off.
    """
    return 2 * USERS_RELATIVE_ERROR * links


def when(ms: int) -> str:
    """A time, epoch ms, for a person."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(ms / 1000))
