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

NOT_RUN = "not run"
FAILED = "failed"


@dataclass(frozen=True)
class Row:
    """One figure, once a run. `target` is what it must reach, or with `at_most` must not exceed; None: no target.

    Without runs there is no figure, and `note` says why: "not run", or "failed: ..." with the reason.
    """

    name: str
    unit: str
    runs: tuple[float, ...] = ()
    target: float | None = None
    at_most: bool = False
    note: str = ""
    section: str = ""

    @property
    def value(self) -> float | None:
        """The median of the runs; None without any."""
        return median(self.runs) if self.runs else None

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None without a target or a figure."""
        if self.target is None or self.value is None:
            return None
        return self.value <= self.target if self.at_most else self.value >= self.target

    @property
    def bad(self) -> bool:
        """Whether the target is missed, or the figure could not be had."""
        return self.met is False or self.note.startswith(FAILED)

    def as_json(self) -> dict[str, Any]:
        """For the file."""
        return {
            "section": self.section,
            "name": self.name,
            "unit": self.unit,
            "value": self.value,
            "runs": list(self.runs),
            "target": self.target,
            "at_most": self.at_most,
            "met": self.met,
            "note": self.note,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Row:
        """A row of the file."""
        runs = tuple(data["runs"])
        return cls(data["name"], data["unit"], runs, data["target"], data["at_most"], data["note"], data["section"])

    def cells(self) -> tuple[str, ...]:
        """For a table: name, unit, min, median, max, target, verdict."""
        target = "" if self.target is None else f"{'≤' if self.at_most else '≥'} {number(self.target)}"
        verdict = {None: "", True: "met", False: "missed"}[self.met]
        figures = ("", "", "")
        if self.runs:
            assert self.value is not None
            figures = (number(min(self.runs)), number(self.value), number(max(self.runs)))
        return (self.name, self.unit, *figures, target, ", ".join(filter(None, [verdict, self.note])))


COLUMNS = ("figure", "unit", "min", "median", "max", "target", "")


def rounded(*runs: float) -> tuple[float, ...]:
    """The runs with as many digits as can matter."""
    return tuple(round(run, 3) for run in runs)


def write(rows: Sequence[Row], file: Path) -> None:
    """Write the rows as a JSON list."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps([row.as_json() for row in rows], indent=1) + "\n", "utf-8")


def read(file: Path) -> list[Row]:
    """The rows that `write` wrote; none if there is no file."""
    return [Row.from_json(data) for data in json.loads(file.read_text("utf-8"))] if file.exists() else []


def show(rows: Sequence[Row], title: str, caption: str, console: Console) -> None:
    """Print the rows as a table."""
    table = Table(title=title, caption=caption, title_justify="left", caption_justify="left")
    table.add_column(COLUMNS[0])
    table.add_column(COLUMNS[1], style="dim", no_wrap=True)
    for name in COLUMNS[2:6]:
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column(COLUMNS[6])
    for row in rows:
        style = "red" if row.bad else "green" if row.met else ""
        *figures, verdict = row.cells()
        table.add_row(*figures, f"[{style}]{verdict}[/]" if style else verdict)
    console.print(table)


def number(value: float) -> str:
    """A figure as people read it."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.2f}"
