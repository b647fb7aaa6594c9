"""The command `streamgauge import`: a file into a side table (spend, campaigns, content, users)."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from difflib import get_close_matches
from functools import reduce
from typing import Any

from pydantic import AwareDatetime, ValidationError

from pipeline.clickhouse.client import connect
from pipeline.clickhouse.side_tables import insert
from pipeline.errors import DependencyError, UserError
from pipeline.files.numbers import number_text
from pipeline.files.preview import LEFT_OUT, Columns
from pipeline.files.reader import BadLineError, Opened, Reading, each_row, open_file
from pipeline.files.rows import BadRow
from pipeline.files.sender import send
from pipeline.files.times import parse_day, parse_time
from pipeline.ingest.links import LINK_HEADER, Claim, link_value
from pipeline.ingest.partitioner import partitions_of
from pipeline.ingest.sent import Sent
from pipeline.progress import progress_bar
from pipeline.settings import Settings, plan_of
from pipeline.terminal import print_json, say
from pipeline.topics import ensure_topic
from schemas.event import DEVICE
from schemas.side_tables import IDENTITIES, SIDES, DeviceOwner, Side
from schemas.translatable import ENGLISH, Foreign, Sentence, Speech, said_of

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
    settings: Settings, kind: str, file: str, mapping: str | None, as_json: bool, *, drop: bool = False,
    reading: Reading | None = None, dry_run: bool = False, t: Speech = ENGLISH,
) -> int:  # fmt: skip
    """Import what is right in a file, report what isn't; 1 if a row was wrong, else 0.

    With `dry_run` nothing is stored and ClickHouse isn't asked: it is said what would become of each column.
    Raises UserError if it is no such file at all, and what the client of ClickHouse raises.
    """
    model = SIDES.get(kind)
    if model is None:
        raise UserError("there is no side table {kind}: import one of {names}", kind=repr(kind), names=", ".join(SIDES))
    reading = reading or Reading()
    table = _Table(model, _mapping(mapping, model), drop, reading)
    done = Imported(kind)

    def bad(problem: BadLineError) -> None:
        done.bad += 1
        if done.bad <= _MAX_SHOWN:
            done.problems.append(str(problem))
            if not as_json:
                say(t.said(problem), file=sys.stderr)

    with open_file(file, reading.given) as opened:
        if dry_run:
            done.rows = sum(1 for _ in table.rows(opened, bad))
            _say_columns(opened, table.columns, done, as_json, t)
            return 1 if done.bad else 0
        store = _tell if kind == IDENTITIES else _store
        with progress_bar(t("importing {file}", file=file), None) as show:
            await store(settings, table.rows(opened, bad), done, show)
    if as_json:
        print_json(asdict(done))
    else:
        wrong = t(", {n} were wrong", n=f"{done.bad:,}") if done.bad else ""
        say(t("{n} rows of {table} imported{wrong}", n=f"{done.rows:,}", table=kind, wrong=wrong))
        if done.bad:
            say(t("correct them and import the file again: what is there already is replaced"))
    return 1 if done.bad else 0


async def _tell(settings: Settings, rows: Iterator[Side], done: Imported, show: Callable[[int], None] | None) -> None:
    """Send each row as a link to the partition of its device: live figures and SQL learn of it there.

    Raises DependencyError if Kafka takes them not, and UserError if the plan links nothing.
    """
    if not plan_of(settings).identity.on:
        raise UserError("this plan links no ids (identity.link: never)")
    topic = await ensure_topic(settings)

    def records() -> Iterator[Sent]:
        for row in rows:
            assert isinstance(row, DeviceOwner)
            claim = Claim(DEVICE + row.device, row.user, "import", round(row.since.timestamp() * 1000))
            home = int(partitions_of([row.device.encode()], topic.partitions)[0])
            yield Sent(0, row.device.encode(), link_value(claim), home, headers=((LINK_HEADER, b"1"),))

    sending = await send(
        records(),
        kafka=settings.kafka_kwargs(),
        topic=settings.events_topic,
        progress=(lambda state: show(state.sent)) if show is not None else None,
    )
    done.rows = sending.sent
    if sending.failed:
        raise DependencyError(
            "{failed} rows were not taken by Kafka: {first_error}",
            failed=sending.failed,
            first_error=sending.first_error,
        )


async def _store(settings: Settings, rows: Iterator[Side], done: Imported, show: Callable[[int], None] | None) -> None:
    client = await connect(settings)
    try:
        batch: list[Side] = []
        for row in rows:
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


def _say_columns(opened: Opened, columns: Columns, done: Imported, as_json: bool, t: Speech) -> None:
    if as_json:
        print_json({"file": opened.source, "is": opened.words(), **asdict(done), "columns": columns.document()})
        return
    say(t.said(Sentence("{file}: {words}", file=opened.source, words=opened.words())))
    for line in columns.lines(t):
        say(line)
    wrong = t(", {n} are wrong", n=f"{done.bad:,}") if done.bad else ""
    say(t("{n} rows of {table} would be imported{wrong}", n=f"{done.rows:,}", table=done.table, wrong=wrong))


class _Table:
    """Rows of a file to rows of a side table."""

    def __init__(self, model: type[Side], mapping: Mapping[str, str], drop: bool, reading: Reading) -> None:
        self._model, self._mapping, self._drop, self._reading = model, mapping, drop, reading
        self._fields: dict[str, str | None] = {}  # column of the file to the field it fills
        #: What became of each column.
        self.columns = Columns()

    def rows(self, file: Opened, bad: Callable[[BadLineError], None]) -> Iterator[Side]:
        """Those that are right; the others go to `bad`. Raises UserError for a column that there isn't."""
        lines: dict[tuple[Any, ...], int] = {}
        for row in each_row(file):
            if isinstance(row.columns, BadRow):
                bad(file.bad(row.columns.number or row.number, row.columns.why))
                continue
            found = self._row(row.columns, file)
            if isinstance(found, Sentence):
                bad(file.bad(row.number, found))
                continue
            earlier = lines.setdefault(found.key(), row.number)
            if earlier != row.number:
                key = ", ".join(self._model.KEY)
                bad(file.bad(row.number, Sentence("the same {key} as line {line}", key=key, line=earlier)))
                continue
            yield found

    def _row(self, row: Mapping[str, Any], file: Opened) -> Side | Sentence:
        """The row of the table, or why it is none."""
        values: dict[str, Any] = {}
        problems: list[Sentence] = []
        for name, value in row.items():
            if name not in self._fields:
                self._fields[name] = _field(name, self._model, self._mapping, self._drop)
            target = self._fields[name]
            if target is None or value == "" or value is None:
                self.columns.seen(name, target or LEFT_OUT, value)
                continue
            try:
                values[target] = self._value(target, value, file)
                self.columns.seen(name, target, value, values[target])
            except ValueError as exc:
                why = said_of(exc)
                problems.append(Sentence("{place}: {why}", place=target, why=why))
                self.columns.seen(name, target, value)
                self.columns.wrong(target, why)
        if problems:
            return _together(problems)
        try:
            return self._model.model_validate(values)
        except ValidationError as exc:
            for place, words in _mistakes(exc):
                self.columns.wrong(place, words)
                problems.append(Sentence("{place}: {why}" if place else "{why}", place=place, why=words))
            return _together(problems)

    def _value(self, target: str, value: Any, file: Opened) -> Any:
        """Text as what the field is; what is no such text is left for the model to judge. Raises ValueError."""
        kind = self._model.model_fields[target].annotation
        if not isinstance(value, str):
            return value
        if kind in (Decimal, int):
            commas = file.found.separator == ";"
            return number_text(value, self._reading.decimal, commas=commas, integer=kind is int) or value
        if kind is date:
            day = parse_day(value, self._reading.time_format) if not _is_iso_day(value) else None
            return value if day is None else day
        zone, time_format = self._reading.zone, self._reading.time_format
        if kind is AwareDatetime and (zone is not None or time_format is not None):
            return datetime.fromtimestamp(parse_time(value, zone or UTC, time_format) / 1000, UTC)
        return value


def _is_iso_day(text: str) -> bool:
    return len(text) == 10 and text[4] == text[7] == "-"


def _field(column: str, model: type[Side], columns: Mapping[str, str], drop: bool) -> str | None:
    if column in columns:
        return columns[column]
    if column in model.model_fields and column not in columns.values():
        return column
    if drop or column == "":
        return None
    near = get_close_matches(str(column), model.model_fields, 1)
    hint = Sentence(": did you mean {close}?", close=near[0]) if near else ""
    raise UserError(
        "there is no column {column}{hint}; it has {names} (rename it with --map, or leave it out with --drop)",
        column=repr(column),
        hint=hint,
        names=", ".join(model.model_fields),
    )


def _mapping(text: str | None, model: type[Side]) -> dict[str, str]:
    """Read `field=column,...`; column to field. Raises UserError."""
    out = {}
    for part in (text or "").split(","):
        if not part.strip():
            continue
        name, equals, column = (piece.strip() for piece in part.partition("="))
        if not equals or not column:
            raise UserError("--map: {given} is not understood: write field=column", given=repr(part.strip()))
        if name not in model.model_fields:
            raise UserError(
                "--map: there is no field {name}: use {names}", name=repr(name), names=", ".join(model.model_fields)
            )
        out[column] = name
    return out


def _together(problems: list[Sentence]) -> Sentence:
    """What is wrong with a row, as one sentence."""
    return reduce(lambda one, another: Sentence("{one}; {another}", one=one, another=another), problems)


def _mistakes(exc: ValidationError) -> list[tuple[str, Sentence | Foreign]]:
    """The mistakes of a row: field ("" for the row) and words."""
    parts: list[tuple[str, Sentence | Foreign]] = []
    for error in exc.errors(include_url=False)[:5]:
        name = ".".join(str(part) for part in error["loc"])
        message = error["msg"].removeprefix("Value error, ")
        why: Sentence | Foreign = Foreign(f"{message[:1].lower()}{message[1:]}")
        if error["type"] == "missing":
            why = Sentence("is missing")
        elif name and (found := repr(error["input"])):
            found = found if len(found) <= 60 else found[:57] + "..."
            why = Sentence("{why}, found {value}", why=why, value=found)
        parts.append((name, why))
    return parts
