"""The worker stays at least ten times as fast as idiomatic Faust, on any machine."""

from __future__ import annotations

import pytest

from bench.run import MIN_RATIO, Results, run

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("needs_embedded")]

_EVENTS, _SAMPLE, _TRIES = 100_000, 10_000, 3


def best_ratios(tries: list[Results]) -> tuple[float, float]:
    """By time and by CPU, of the best figure of each: whatever else the machine does only ever slows one down."""
    workers = [figures.span for results in tries for figures in results.workers]
    others = [span for results in tries for span in results.idiomatic]
    return (
        max(w.rate for w in workers) / max(o.rate for o in others),
        max(w.cpu_rate for w in workers) / max(o.cpu_rate for o in others),
    )


async def test_ten_times_as_fast_as_idiomatic_faust() -> None:
    tries: list[Results] = []
    while not tries or (min(best_ratios(tries)) < MIN_RATIO and len(tries) < _TRIES):
        tries.append(await run(_EVENTS, _SAMPLE, 1, print))
    by_time, by_cpu = best_ratios(tries)
    figures = [(w.span, i) for results in tries for w, i in zip(results.workers, results.idiomatic, strict=True)]
    assert by_time >= MIN_RATIO, figures
    assert by_cpu >= MIN_RATIO, figures
    # The other figures have no target that holds on every machine, but each of them is there.
    assert all(min(row.runs) > 0 for row in tries[0].rows())
