"""Memory of a user of funnel state and of a remembered id."""

from __future__ import annotations

import tempfile
from pathlib import Path

from .place import program
from .rows import Row, rounded
from .run import Say
from .sizes import Sizes

BYTES_A_USER, BYTES_AN_ID = 300.0, 16.0


async def section(sizes: Sizes, say: Say) -> list[Row]:
    """In processes of their own, which hold nothing else."""
    say(f"funnel state of {sizes.users:,} users")
    states, ids = [], []
    with tempfile.TemporaryDirectory(prefix="streamgauge-bench-") as folder:
        for _ in range(sizes.runs):
            states.append(await program("state", [sizes.users], Path(folder)))
            ids.append(await program("ids", [], Path(folder)))
    name = f"memory a user in a three-step funnel, {sizes.users:,} users"
    return [
        Row(f"{name}, one step taken", "bytes", rounded(*[s["steps_1"] for s in states]), BYTES_A_USER, at_most=True),
        Row(f"{name}, all taken", "bytes", rounded(*[s["steps_3"] for s in states]), BYTES_A_USER, at_most=True),
        Row("memory of a remembered event id", "bytes", rounded(*[i["bytes"] for i in ids]), BYTES_AN_ID, at_most=True),
    ]
