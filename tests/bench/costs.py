"""Where the worker's time goes, and how it grows: stages measured one by one, in processes of their own."""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict
from pathlib import Path

from .place import program
from .rows import Row, rounded
from .run import Say
from .sizes import Sizes
from .stages import STAGES, Options

#: Live funnels may cost so many times what validation does.
FUNNEL_SHARE = 1.0


async def section(sizes: Sizes, say: Say) -> list[Row]:
    """The shop's plan some times; each variation once."""
    n, rows = sizes.stage_events, []
    with tempfile.TemporaryDirectory(prefix="streamgauge-bench-") as folder:

        async def costs(options: Options) -> dict[str, float]:
            return await program("stages", [json.dumps(asdict(options))], Path(folder))

        for large in (False, True):
            say(f"stages of {900 if large else 230}-byte events")
            found = [await costs(Options(n, large=large)) for _ in range(sizes.runs)]
            kind = "900-byte events" if large else "230-byte events"
            rows += [Row(f"stage, {kind}: {s}", "µs/event", rounded(*[f[s] for f in found])) for s in STAGES]
            if not large:
                share = rounded(*[f["funnels"] / f["validation"] for f in found])
                rows.append(Row("funnels to validation, by CPU, 30 % steps", "x", share, FUNNEL_SHARE, at_most=True))
        for name, options in _variations(sizes, n).items():
            say(f"stages with {name}")
            found = [await costs(options)]
            rows += [Row(f"cost, {name}: {s}", "µs/event", rounded(found[0][s])) for s in STAGES]
    return rows


def _variations(sizes: Sizes, n: int) -> dict[str, Options]:
    users = (sizes.users // 100, sizes.users // 10, sizes.users)
    return {
        # As many events before as there are users, so that most of them have a state already.
        **{f"{count:,} users": Options(n, users=count, warm=count) for count in users},
        **{f"{count} dimensions": Options(n, dimensions=count) for count in (0, 3, 5, 8)},
        **{f"{count} funnels": Options(n, funnels=count) for count in (0, 2, 4, 8)},
        # A batch of 4,000 events touches about so many minutes: as on catching up, or with few events.
        **{f"{minutes} minutes a batch": Options(n, rate=4_000 // (60 * minutes)) for minutes in (1, 4, 16)},
    }
