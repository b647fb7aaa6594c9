"""What the pages of a role answer, as types: the OpenAPI description is made of them, and tests hold them to it."""

from __future__ import annotations

import os
from typing import Annotated, Any

from pydantic import ConfigDict, Field, TypeAdapter, with_config
from typing_extensions import TypedDict

from pipeline import __version__
from schemas.plan import Plan

_EXACT = ConfigDict(extra="forbid", strict=True)


def _says(text: str) -> Any:
    return Field(description=text)


@with_config(_EXACT)
class Today(TypedDict):
    """Today so far, in the plan's time zone."""

    events: int
    users: Annotated[int, _says("estimate")]
    sessions: Annotated[int, _says("estimate")]
    registrations: Annotated[int, _says("estimate")]
    value_micro: Annotated[int, _says("sum of the events' values (revenue), in 10^-6 units")]


@with_config(_EXACT)
class Active(TypedDict):
    """Users by sliding span of whole minutes, the one under way included (estimates)."""

    now: Annotated[int, _says("of the current minute and the one before")]
    last_5m: int
    last_30m: int


@with_config(_EXACT)
class Top(TypedDict):
    """What one value of a dimension counts."""

    events: int
    users: int


@with_config(_EXACT)
class LiveFunnel(TypedDict):
    """A funnel's current cohort bucket."""

    bucket: Annotated[str, _says("hour or day")]
    steps: Annotated[list[str], _says("titles of the steps")]
    users: Annotated[list[int], _says("users that reached each step")]


@with_config(_EXACT)
class LiveAnswer(TypedDict):
    """The current numbers of the partitions that this worker owns. With several workers, add them up."""

    product: str
    time: Annotated[int, _says("when this was worked out, epoch ms")]
    watermark: Annotated[int, _says("largest event time counted, epoch ms; 0 before the first event")]
    freshness_ms: Annotated[int | None, _says("time minus watermark; null before the first event")]
    totals: Annotated[dict[str, int], _says("records of the log by what became of them")]
    rejected_by_reason: dict[str, int]
    active: Active
    today: Today
    top: Annotated[dict[str, dict[str, Top]], _says("by dimension and value: the last 5 minutes, most events first")]
    funnels: dict[str, LiveFunnel]
    partitions: Annotated[dict[int, int], _says("by partition: the next offset to count")]
    lag: Annotated[int | None, _says("records not counted yet; null while that is not known")]
    unpublished: Annotated[int, _says("changed rows that ClickHouse does not have yet")]
    publish_error: Annotated[str, _says("why publishing fails; empty while it doesn't")]


@with_config(_EXACT)
class WorkerHealth(TypedDict):
    """Whether a worker is ready, and what is wrong."""

    role: str
    ready: bool
    problems: Annotated[dict[str, str], _says("by dependency: what is wrong with it")]
    version: Annotated[str, _says("of Streamgauge")]
    plan: Annotated[str, _says("digest of the tracking plan: two processes with the same one judge alike")]
    pid: Annotated[int, _says("id of the process on its machine")]
    partitions: Annotated[list[int], _says("partitions that it owns")]


@with_config(_EXACT)
class ArchiverHealth(TypedDict):
    """Whether an archiver is ready, and what is wrong."""

    role: str
    ready: bool
    problems: Annotated[dict[str, str], _says("by dependency: what is wrong with it")]
    version: Annotated[str, _says("of Streamgauge")]
    plan: Annotated[str, _says("digest of the tracking plan: two processes with the same one judge alike")]
    pid: Annotated[int, _says("id of the process on its machine")]
    lag: Annotated[int | None, _says("records not stored yet; null while that is not known")]
    stored: Annotated[dict[int, int], _says("by partition: everything before this offset is in ClickHouse")]
    inserted: Annotated[int, _says("rows inserted since the start")]
    totals: Annotated[dict[str, int], _says("records since the start by what became of them")]


def about(plan: Plan) -> dict[str, Any]:
    """What every role's `/health` says besides: its version, which plan it goes by, and which process it is."""
    return {"version": __version__, "plan": plan.digest, "pid": os.getpid()}


LIVE: TypeAdapter[LiveAnswer] = TypeAdapter(LiveAnswer)
WORKER_HEALTH: TypeAdapter[WorkerHealth] = TypeAdapter(WorkerHealth)
ARCHIVER_HEALTH: TypeAdapter[ArchiverHealth] = TypeAdapter(ArchiverHealth)
