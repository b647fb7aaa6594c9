"""The figures of a benchmark: rows for people and for build/bench.json."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Row:
    """One figure, once a run. `target` is what it must reach, or with `at_most` must not exceed; None: no target."""

    name: str
    unit: str
    runs: tuple[float, ...]
    target: float | None = None
    at_most: bool = False

    @property
    def value(self) -> float:
        """The median of the runs."""
        return median(self.runs)

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None without one."""
        if self.target is None:
            return None
        return self.value <= self.target if self.at_most else self.value >= self.target

    def as_json(self) -> dict[str, Any]:
        """For the file."""
        return {
            "name": self.name,
            "unit": self.unit,
            "value": self.value,
            "runs": list(self.runs),
            "target": self.target,
            "met": self.met,
        }


def write(rows: Sequence[Row], file: Path) -> None:
    """Write the rows as a JSON list."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps([row.as_json() for row in rows], indent=1) + "\n", "utf-8")


def show(rows: Sequence[Row], title: str, caption: str, console: Console) -> None:
    """Print the rows as a table."""
    table = Table(title=title, caption=caption, title_justify="left", caption_justify="left")
    table.add_column("figure", no_wrap=True)
    table.add_column("unit", style="dim")
    for name in ("min", "median", "max", "target"):
        table.add_column(name, justify="right")
    table.add_column("")
    for row in rows:
        target = "" if row.target is None else f"{'≤' if row.at_most else '≥'} {_number(row.target)}"
        verdict = {None: "", True: "[green]met[/]", False: "[red]missed[/]"}[row.met]
        low, high = min(row.runs), max(row.runs)
        table.add_row(row.name, row.unit, _number(low), _number(row.value), _number(high), target, verdict)
    console.print(table)


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.2f}"
