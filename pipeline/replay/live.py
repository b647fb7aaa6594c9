"""The measures as the worker counts them: records through `PartitionState`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from pipeline.ingest.records import Record
from pipeline.ingest.validate import Validator
from pipeline.measure.activity import WindowKey
from pipeline.queries.funnel import cell_of
from pipeline.replay.measures import Cohort, Counts, Measures, Window
from pipeline.state.partition import PartitionState
from schemas.plan import Plan

#: Cells kept in memory before the closed ones among them are looked for.
_MANY_CELLS = 50_000


def replay(plan: Plan, batches: Iterable[Sequence[Record]], grains: Collection[str]) -> Measures:
    """Fold the log of one partition; nothing is left out by age. Windows of `grains` are reported."""
    state = PartitionState(plan, Validator(plan), 0, 1)
    measures = Measures(plan)
    limit = _MANY_CELLS
    for batch in batches:
        state.fold(batch)
        if len(state.activity.accumulators) > limit:
            closed = state.activity.closed(state.watermark)
            collect_activity(measures, state, closed, grains)
            state.activity.drop(closed)
            limit = max(_MANY_CELLS, 2 * len(state.activity.accumulators))
    collect(measures, state, grains)
    return measures


def collect(measures: Measures, state: PartitionState, grains: Collection[str]) -> None:
    """Add everything that a partition's state holds."""
    for outcome, count in state.totals.items():
        measures.totals.outcomes[outcome] += count
    for reason, count in state.reasons.items():
        measures.totals.reasons[reason] = measures.totals.reasons.get(reason, 0) + count
    collect_activity(measures, state, state.activity.accumulators, grains)
    for row in state.funnels.rows(list(state.funnels.counter_keys()), state.partition):
        bins = [(list(times), list(times.values())) for times in row.bins]
        cohort = Cohort(row.funnel, row.start, row.end, row.breakdown, row.value)
        measures.add_cohort(cohort, cell_of(row.users, row.step_sum_ms, bins))


def collect_activity(
    measures: Measures, state: PartitionState, keys: Iterable[WindowKey], grains: Collection[str]
) -> None:
    """Add these accumulators of a partition."""
    wanted = [key for key in keys if key.grain in grains]
    for row in state.activity.rows(wanted, state.partition):
        window = Window(row.grain, row.start, row.end, row.dimension, row.value)
        measures.add_window(window, Counts(row.events, row.amount, row.users, row.sessions, row.registrations))
