"""The command `streamgauge import`: a file into a side table (spend, campaigns, content, users)."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError

from pipeline.clickhouse.client import connect
from pipeline.clickhouse.side_tables import insert
from pipeline.errors import UserError
from pipeline.files.reader import BadLineError, read_rows
from pipeline.progress import progress_bar
from pipeline.settings import Settings
from schemas.side_tables import SIDES, Side

_BATCH = 50_000
#: Problems that are printed; all are counted.
_MAX_SHOWN = 100


@dataclass
class Imported:
    """What became of a file."""

    table: str
    rows: int = 0
    bad: int = 0
    problems: list[str] = field(default_factory=list)


async def import_file(
    settings: Settings, kind: str, file: str, mapping: str | None, as_json: bool, *, drop: bool = False
) -> int:
    """Import what is right in a file, report what isn't; 1 if a row was wrong, else 0.

    Raises UserError if it is no such file at all, and what the client of ClickHouse raises.
    """
    model = SIDES.get(kind)
    if model is None:
        raise UserError(f"there is no side table {kind!r}: import one of {', '.join(SIDES)}")
    columns = _mapping(mapping, model)
    done = Imported(kind)

    def bad(problem: BadLineError) -> None:
        done.bad += 1
        if done.bad <= _MAX_SHOWN:
            done.problems.append(str(problem))
            if not as_json:
                print(problem, file=sys.stderr)

    client = await connect(settings)
    try:
        with progress_bar(f"importing {file}", None) as show:
            batch: list[Side] = []
            for row in _rows(file, model, columns, drop, bad):
                batch.append(row)
                if len(batch) == _BATCH:
                    await insert(client, batch)
                    done.rows += len(batch)
                    batch = []
                    if show is not None:
                        show(done.rows)
            await insert(client, batch)
            done.rows += len(batch)
    finally:
        await client.close()
    if as_json:
        print(json.dumps(asdict(done)))
    else:
        print(f"{done.rows:,} rows of {kind} imported" + (f", {done.bad:,} were wrong" if done.bad else ""))
        if done.bad:
            print("correct them and import the file again: what is there already is replaced")
    return 1 if done.bad else 0


def _rows(
    file: str, model: type[Side], columns: Mapping[str, str], drop: bool, bad: Callable[[BadLineError], None]
) -> Iterator[Side]:
    """The rows of a file that are right; the others go to `bad`. Raises UserError for a column that there isn't."""
    lines: dict[tuple[Any, ...], int] = {}
    fields: dict[str, str | None] = {}  # column of the file to the field it fills
    for number, row in read_rows(file, on_bad=bad):
        values = {}
        for name, value in row.items():
            if name not in fields:
                fields[name] = _field(name, model, columns, drop)
            target = fields[name]
            if target is not None and value != "" and value is not None:
                values[target] = value
        try:
            found = model.model_validate(values)
        except ValidationError as exc:
            bad(BadLineError(file, number, _words(exc)))
            continue
        earlier = lines.setdefault(found.key(), number)
        if earlier != number:
            bad(BadLineError(file, number, f"the same {', '.join(model.KEY)} as line {earlier}"))
            continue
        yield found


def _field(column: str, model: type[Side], columns: Mapping[str, str], drop: bool) -> str | None:
    if column in columns:
        return columns[column]
    if column in model.model_fields and column not in columns.values():
        return column
    if drop:
        return None
    near = get_close_matches(str(column), model.model_fields, 1)
    hint = f": did you mean {near[0]}?" if near else ""
    raise UserError(
        f"there is no column {column!r}{hint}; it has {', '.join(model.model_fields)} (rename it with --map, "
        f"or leave it out with --drop)"
    )


def _mapping(text: str | None, model: type[Side]) -> dict[str, str]:
    """Read `field=column,...`; column to field. Raises UserError."""
    out = {}
    for part in (text or "").split(","):
        if not part.strip():
            continue
        name, equals, column = (piece.strip() for piece in part.partition("="))
        if not equals or not column:
            raise UserError(f"--map: {part.strip()!r} is not understood: write field=column")
        if name not in model.model_fields:
            raise UserError(f"--map: there is no field {name!r}: use {', '.join(model.model_fields)}")
        out[column] = name
    return out


def _words(exc: ValidationError) -> str:
    """The mistakes of a row in one line."""
    parts = []
    for error in exc.errors(include_url=False)[:5]:
        name = ".".join(str(part) for part in error["loc"])
        message = error["msg"].removeprefix("Value error, ")
        message = f"{message[:1].lower()}{message[1:]}"
        if error["type"] == "missing":
            message = "is missing"
        elif name and (found := repr(error["input"])):
            message += f", found {found if len(found) <= 60 else found[:57] + '...'}"
        parts.append(f"{name}: {message}" if name else message)
    return "; ".join(parts)
