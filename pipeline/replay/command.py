"""The command `streamgauge replay`."""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Iterable, Sequence

from pipeline.errors import UserError
from pipeline.ingest.validate import Validator
from pipeline.measure.windows import grains as grains_of
from pipeline.replay import live, log, sql
from pipeline.replay.measures import Measures
from pipeline.replay.show import show
from schemas.plan import Plan


def replay_file(
    plan: Plan,
    file: str,
    *,
    mapping: str | None = None,
    tz: str | None = None,
    with_sql: bool = False,
    as_logged: bool = False,
    grains: Sequence[str] = (),
    as_json: bool = False,
) -> None:
    """Measure the events of a file and print what was found. Raises UserError."""
    known = grains_of(plan.zone)
    for grain in grains:
        if grain not in known:
            raise UserError(f"--grain {grain}: this plan has {', '.join(known)}")
    wanted = [grain for grain in known if grain in (grains or (known if as_json else ("day",)))]
    bad = 0

    def count_bad() -> None:
        nonlocal bad
        bad += 1

    values: Iterable[bytes] = log.read(file, mapping, tz, plan, count_bad)
    if not as_logged:
        values = log.by_time(values, Validator(plan))
    # Nothing here makes cycles; looking for them among a million lines would cost a third of the time.
    gc.disable()
    try:
        measures = (sql.replay if with_sql else live.replay)(plan, log.batches(values), wanted)
    finally:
        gc.enable()
    for _ in range(bad):
        measures.totals.reject("bad_line")
    if as_json:
        for line in document(measures):
            sys.stdout.write(line)
    else:
        show(measures, wanted, exact=with_sql)


def document(measures: Measures) -> Iterable[str]:
    """One JSON document, one window or cohort a line, so that two of them can be compared by `diff`."""
    yield f'{{"totals": {json.dumps(measures.totals.document())},\n'
    yield from _rows("activity", measures.activity_documents())
    yield ",\n"
    yield from _rows("funnels", measures.funnel_documents(measures.cohorts()))
    yield ",\n"
    yield from _rows("overall", measures.funnel_documents(measures.overall()))
    yield "}\n"


def _rows(name: str, rows: Iterable[object]) -> Iterable[str]:
    yield f'"{name}": ['
    between = "\n"
    for row in rows:
        yield between + json.dumps(row, ensure_ascii=False)
        between = ",\n"
    yield "]"
