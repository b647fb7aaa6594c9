"""Memory of funnel state: `python -m tests.bench.state USERS` prints bytes of process memory a user as JSON.

A plan with one funnel of three steps; each user has taken the first step, then all three. Measured as the
growth of the process (resident memory), so everything that a user costs is in it: entry, key, table.
"""

from __future__ import annotations

import gc
import json
import sys
from pathlib import Path

from pipeline.measure.funnels import Funnels
from schemas.event import Event
from schemas.plan_io import load_plan

from .stages import BATCH

_FUNNEL = "purchase"
_START_MS = 1_750_000_000_000


def main(users: int) -> None:
    """Fold the steps of all users, one step after the other."""
    plan = load_plan("shop")
    plan = plan.model_copy(update={"funnels": {_FUNNEL: plan.funnels[_FUNNEL]}})
    funnels = Funnels(plan)
    gc.collect()
    before = _resident()
    found = {}
    for number, step in enumerate(plan.funnels[_FUNNEL].steps):
        ts = _START_MS + number * 60_000
        for start in range(0, users, BATCH):
            # A name of its own for each event, as from a parser: what the table keeps of it counts.
            batch = [_event(step.event, f"u{user:08d}", ts) for user in range(start, min(users, start + BATCH))]
            funnels.fold(batch, start, _START_MS)
            if number == 0 and start == 0:
                gc.freeze()
        # As after a checkpoint: what changed has been written.
        for _ in funnels.changed_actors():
            pass
        gc.collect()
        found[f"steps_{number + 1}"] = (_resident() - before) / users
    print(json.dumps(found))


def _event(name: str, actor: str, ts: int) -> Event:
    return Event("", name, ts, channel="ads", actor=actor)


def _resident() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("/proc/self/status has no VmRSS")


if __name__ == "__main__":
    main(int(sys.argv[1]))
