"""The figures in docs/performance-figures.md: written between two markers from build/bench.json, none by hand."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from .rows import COLUMNS, NOT_RUN, Row
from .sections import ABOUT, NAMES
from .sizing import sizing_table
from .stages import STAGES

BEGIN = "<!-- figures: written by `python -m tests.bench --document`, do not edit -->"
END = "<!-- end of figures -->"
_REST = "the rest: fetching, Kafka writes, ClickHouse inserts, answers"


def rewrite(file: Path, rows: Sequence[Row]) -> None:
    """Put the figures into the document; raises ValueError if the markers are not there."""
    text = file.read_text("utf-8")
    begin, end = text.find(BEGIN), text.find(END)
    if begin < 0 or end < begin:
        raise ValueError(f"{file} has no markers {BEGIN} and {END}")
    file.write_text(f"{text[: begin + len(BEGIN)]}\n\n{document(rows)}\n\n{text[end:]}", "utf-8")


def document(rows: Sequence[Row]) -> str:
    """All tables, as Markdown."""
    figures = [row for row in rows if row.name != ABOUT]
    missing = [name for name in NAMES if name not in {row.section for row in rows}]
    parts = [
        "### Targets", _rows_table([row for row in figures if row.target is not None]),
        "### All figures",
    ]  # fmt: skip
    shown = [row for row in figures if not row.name.startswith(("stage, ", "cost, "))]
    for section in dict.fromkeys(row.section for row in rows):
        table = [row for row in shown if row.section == section]
        if table:
            parts += [f"`{section}`", _rows_table(table)]
    parts += [f"`{name}`: {NOT_RUN}" for name in missing]
    parts += ["### Where the time goes", _stages(figures)]
    parts += ["### How cost grows", _growth(figures)]
    parts += ["### Sizes of a cluster", sizing_table(figures)]
    parts += ["### Measured on", *_about(rows)]
    return "\n\n".join(parts)


def _rows_table(rows: Iterable[Row]) -> str:
    return _table(COLUMNS, [row.cells() for row in rows])


def _table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    if not lines:
        return NOT_RUN
    escaped = [[cell.replace("|", "\\|") for cell in line] for line in (head, ["---"] * len(head), *lines)]
    return "\n".join(f"| {' | '.join(line)} |" for line in escaped)


def _value(rows: Sequence[Row], name: str) -> float | None:
    return next((row.value for row in rows if row.name == name), None)


def _stages(rows: Sequence[Row]) -> str:
    """Microseconds an event; what the stages don't hold of the worker's CPU is the last line."""
    kinds = ("230-byte events", "900-byte events")
    lines = []
    values = {(kind, stage): _value(rows, f"stage, {kind}: {stage}") for kind in kinds for stage in STAGES}
    if None in values.values():
        return NOT_RUN
    known: dict[tuple[str, str], float] = {key: value for key, value in values.items() if value is not None}
    for kind in kinds:
        # Measured with validation, shown without.
        known[kind, "classification"] -= known[kind, "validation"]
    names = {"classification": "classification: ids, partition, lateness", "live rows": "live rows for ClickHouse"}
    for stage in STAGES:
        lines.append([names.get(stage, stage), *(f"{known[kind, stage]:.2f}" for kind in kinds)])
    whole = {kind: _value(rows, f"worker, {kind}: events a CPU second") for kind in kinds}
    rest, total = [_REST], ["the worker, by its CPU time"]
    for kind in kinds:
        rate = whole[kind]
        stages = sum(known[kind, stage] for stage in STAGES)
        rest.append(f"{1e6 / rate - stages:.2f}" if rate else NOT_RUN)
        total.append(f"{1e6 / rate:.2f}" if rate else NOT_RUN)
    return _table(["µs of CPU an event", *kinds], [*lines, rest, total])


def _growth(rows: Sequence[Row]) -> str:
    found: dict[str, dict[str, float]] = {}
    for row in rows:
        match = re.fullmatch(r"cost, (.+): ([a-z ]+)", row.name)
        if match and row.value is not None:
            found.setdefault(match[1], {})[match[2]] = row.value
    for costs in found.values():
        # Measured with validation, shown without.
        costs["classification"] -= costs["validation"]
    return _table(
        ["µs of CPU an event", *STAGES],
        [[name, *(f"{costs[stage]:.2f}" for stage in STAGES)] for name, costs in found.items()],
    )


def _about(rows: Sequence[Row]) -> list[str]:
    """Once for all sections that were measured alike."""
    sections: dict[str, list[str]] = {}
    for row in rows:
        if row.name == ABOUT:
            sections.setdefault(row.note, []).append(row.section)
    return [f"{', '.join(f'`{name}`' for name in names)}: {note}." for note, names in sections.items()]
