"""The sections of the benchmark, each with a place of its own: one that fails leaves the others their figures."""

from __future__ import annotations

import dataclasses
import gc
import traceback
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from . import (
    archiver,
    backfill,
    catchup,
    collect,
    costs,
    devices,
    freshness,
    machine,
    many,
    memory,
    peers,
    persons,
    restart,
    scaling,
    soak,
    starts,
    steady,
)
from . import run as comparison
from .rows import FAILED, Row
from .run import Say
from .sizes import Sizes

Section = Callable[[Sizes, Say], Awaitable[list[Row]]]

SECTIONS: Final[dict[str, Section]] = {
    "worker": comparison.section,
    "steady": steady.section,
    "peers": peers.section,
    "archiver": archiver.section,
    "collect": collect.section,
    "persons": persons.section,
    "devices": devices.section,
    "freshness": freshness.section,
    "catchup": catchup.section,
    "scaling": scaling.section,
    "starts": starts.section,
    "restart": restart.section,
    "memory": memory.section,
    "soak": soak.section,
    "costs": costs.section,
    "sparse": many.sparse,
    "many": many.many,
    "backfill": backfill.section,
}
NAMES: Final = tuple(SECTIONS)
#: Name of the row that says on what machine, and how much, a section was measured.
ABOUT: Final = "measured on"


async def run(names: Sequence[str], sizes: Sizes, say: Say) -> list[Row]:
    """Measure the sections; one that fails becomes a row that says so, and its traceback is printed."""
    rows: list[Row] = []
    for name in names:
        say(f"-- {name}")
        try:
            found = await SECTIONS[name](sizes, say)
        except Exception as exc:
            say(traceback.format_exc())
            why = " ".join(f"{type(exc).__name__}: {exc}".split())
            found = [Row(name, "", note=f"{FAILED}: {why[:400]}")]
        about = Row(ABOUT, "", note=f"{machine.describe()}; {sizes.describe()}")
        rows += [dataclasses.replace(row, section=name) for row in (*found, about)]
        gc.collect()
    return rows


def merged(old: Sequence[Row], new: Sequence[Row]) -> list[Row]:
    """The new rows in place of the old ones of the same sections; in the order of the sections."""
    measured = {row.section for row in new}
    rows = [row for row in old if row.section not in measured] + list(new)
    order = {name: i for i, name in enumerate(NAMES)}
    return sorted(rows, key=lambda row: order.get(row.section, len(order)))
