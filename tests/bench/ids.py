"""Memory of remembered event ids: `python -m tests.bench.ids` prints the most bytes an id takes, as JSON."""

from __future__ import annotations

import json

import numpy as np

from pipeline.ingest.seen import SeenIds

from .events import SEED
from .stages import BATCH

REMEMBERED_IDS = 1_000_000


def bytes_an_id() -> float:
    """The most that a remembered id takes while the memory grows: just after it has made itself room."""
    seen = SeenIds(2**40)
    rng = np.random.default_rng(SEED)
    worst = 0.0
    for _ in range(REMEMBERED_IDS // BATCH):
        seen.add(rng.integers(1, 2**64, size=BATCH, dtype=np.uint64))
        worst = max(worst, seen.nbytes() / len(seen))
    return worst


if __name__ == "__main__":
    print(json.dumps({"bytes": bytes_an_id()}))
