"""The command `streamgauge replay`."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterable, Sequence

from pipeline.errors import UserError
from pipeline.files.packing import title
from pipeline.files.reader import Reading, open_file
from pipeline.ingest.records import Outcome
from pipeline.ingest.validate import Validator
from pipeline.measure.windows import grains as grains_of
from pipeline.replay import live, sql
from pipeline.replay.log import Log, batches
from pipeline.replay.measures import Measures
from pipeline.replay.show import counted, show
from pipeline.terminal import json_text, say
from schemas.plan import Plan
from schemas.translatable import ENGLISH, Speech


def replay_file(
    plan: Plan,
    file: str,
    reading: Reading,
    *,
    with_sql: bool = False,
    as_logged: bool = False,
    grains: Sequence[str] = (),
    as_json: bool = False,
    t: Speech = ENGLISH,
) -> int:
    """Measure the events of a file and print what was found; why lines were left out goes to standard error.

    Returns 1 if nothing was measured, else 0. Raises UserError.
    """
    known = grains_of(plan.zone)
    for grain in grains:
        if grain not in known:
            raise UserError("--grain {grain}: this plan has {names}", grain=grain, names=", ".join(known))
    wanted = [grain for grain in known if grain in (grains or (known if as_json else ("day",)))]
    with open_file(file, reading.given) as opened:
        log = Log(opened, reading, Validator(plan))
        values = log.as_logged() if as_logged else log.by_time()
        # Nothing here makes cycles; looking for them among a million lines would cost a third of the time.
        gc.disable()
        try:
            measures = (sql.replay if with_sql else live.replay)(plan, batches(values), wanted)
        finally:
            gc.enable()
    for _ in range(log.bad_lines):
        measures.totals.reject("bad_line")
    if as_json:
        for line in document(measures):
            sys.stdout.write(line)
    else:
        show(measures, wanted, t, exact=with_sql)
    for first in log.firsts.values():
        say(t.said(first), file=sys.stderr)
    outcomes = measures.totals.outcomes
    if outcomes[Outcome.ACCEPTED] + outcomes[Outcome.LATE]:
        return 0
    why = counted(measures.totals.reasons.items(), t) or t("it has no rows")
    said = t(
        "nothing was measured: {file} ({kind}) holds no event of the plan: {why}",
        file=t.said(title(file)), kind=t.said(opened.words()), why=why,
    )  # fmt: skip
    say(said, file=sys.stderr)
    return 1


def document(measures: Measures) -> Iterable[str]:
    """One JSON document, one window or cohort a line, so that two of them can be compared by `diff`."""
    yield f'{{"totals": {json_text(measures.totals.document())},\n'
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
        yield between + json_text(row)
        between = ",\n"
    yield "]"
