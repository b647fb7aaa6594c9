"""The command `streamgauge simulate`: days of simulated events, as a file or straight into ClickHouse."""

from __future__ import annotations

import csv
import gzip
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from pipeline.errors import UserError
from pipeline.progress import progress_bar
from pipeline.settings import Settings
from pipeline.simulate import side_tables
from pipeline.simulate.devices import Devices
from pipeline.simulate.fault import Fault, parse_fault
from pipeline.simulate.history import History
from pipeline.simulate.population import Rhythm
from pipeline.simulate.products import CONTENT, SHOP, Product, product_of
from pipeline.terminal import print_json, say
from schemas.duration import DAY
from schemas.plan import Plan
from schemas.side_tables import Side
from schemas.translatable import ENGLISH, Foreign, Speech


def faults_of(texts: Sequence[str], plan: Plan, now_ms: int) -> tuple[Fault, ...]:
    """The faults that were given on the command line. Raises UserError."""
    out = []
    for text in texts:
        try:
            fault = parse_fault(text, now_ms=now_ms, zone=plan.zone)
        except ValueError as exc:
            raise UserError("--fault {text}: {why}", text=repr(text), why=exc) from None
        if fault.step not in plan.events:
            raise UserError("--fault {text}: the plan has no event {step}", text=repr(text), step=fault.step)
        out.append(fault)
    return tuple(out)


def required_product(plan: Plan) -> Product:
    """The simulated product that fits the plan. Raises UserError, saying what the plan lacks."""
    found = product_of(plan)
    if found is None:
        nearest = max((SHOP, CONTENT), key=lambda product: len(product.events & plan.events.keys()))
        missing = ", ".join(sorted(nearest.events - plan.events.keys())[:5])
        raise UserError(
            "the simulated users are those of the plans {one} and {other}, and this plan lacks "
            "events of theirs ({missing}, …): use `streamgauge up`, with your events",
            one=SHOP.name,
            other=CONTENT.name,
            missing=missing,
        )
    return found


def history_of(
    plan: Plan, *, days: float, events: int, users: int | None, seed: int, end: str | None, faults: Sequence[str],
    devices: bool = False, people: bool = False,
) -> History:  # fmt: skip
    """The history that the options describe; without `end` it ends now. Raises UserError."""
    end_ms = int(time.time() * 1000)
    if end is not None:
        try:
            moment = datetime.fromisoformat(end)
        except ValueError:
            raise UserError(
                "--end {end} is not a time: write it like 2026-11-22 or 2026-11-22T14:00", end=repr(end)
            ) from None
        end_ms = round((moment if moment.tzinfo else moment.replace(tzinfo=plan.zone)).timestamp() * 1000)
    return History(
        required_product(plan),
        end_ms - round(days * DAY),
        end_ms,
        events,
        users,
        seed,
        faults_of(faults, plan, end_ms),
        Rhythm(1.0, plan.zone),
        Devices() if devices else None,
        people,
    )


def write(history: History, file: str, as_json: bool, t: Speech = ENGLISH) -> None:
    """Write the events as JSON lines; "-" is standard output, and a name that ends in .gz is packed."""
    with progress_bar(t("simulating"), history.events) as show, _output(file) as out:
        count = 0
        for sent in history.records():
            out.write(sent.value or b"")
            out.write(b"\n")
            count += 1
            if show is not None and not count % 5_000:
                show(count)
    if file != "-":
        _say(history, count, t("written to {file}", file=file), as_json, t)


async def insert(history: History, settings: Settings, plan: Plan, as_json: bool, t: Speech = ENGLISH) -> None:
    """Insert the events into ClickHouse, as the stream `history`."""
    from pipeline.archiver.load import HISTORY, load
    from pipeline.clickhouse.client import connect
    from pipeline.clickhouse.side_tables import insert as insert_sides

    client = await connect(settings)
    try:
        with progress_bar(t("simulating"), history.events) as show:
            count = await load(client, plan, history.records(), progress=show)
        for rows in side_rows(history, plan).values():
            await insert_sides(client, rows)
    finally:
        await client.close()
    _say(history, count, t("stored, as the stream {stream}", stream=HISTORY), as_json, t)


def side_rows(history: History, plan: Plan) -> dict[str, list[Side]]:
    """The side tables that go with a history whose records were read, by their names in `streamgauge import`."""
    return {
        "spend": list(side_tables.spend(history, plan.zone)),
        "campaigns": list(side_tables.campaigns(history)),
        "content": list(side_tables.content(history)),
    }


def write_people(history: History, file: Path) -> None:
    """Write who came, a JSON line each. Raises UserError."""
    try:
        with file.open("w", encoding="utf-8") as out:
            for person in history.people():
                out.write(json.dumps(person) + "\n")
    except OSError as exc:
        raise UserError("{path} can't be written: {why}", path=file, why=Foreign(exc.strerror or exc)) from None


def write_sides(history: History, plan: Plan, folder: Path) -> None:
    """Write them as CSV files, NAME.csv each. Raises UserError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, rows in side_rows(history, plan).items():
            with (folder / f"{name}.csv").open("w", newline="") as out:
                table = csv.DictWriter(out, list(type(rows[0]).model_fields))
                table.writeheader()
                table.writerows(row.model_dump(mode="json") for row in rows)
    except OSError as exc:
        raise UserError("{path} can't be written: {why}", path=folder, why=Foreign(exc.strerror or exc)) from None


def _say(history: History, count: int, where: str, as_json: bool, t: Speech) -> None:
    if as_json:
        print_json({"events": count, "users": history.number_of_users, "start": history.start,
                          "end": history.end})  # fmt: skip
    else:
        days = (history.end - history.start) / DAY
        say(t("{count} events over {days} days {where}", count=f"{count:,}", days=f"{days:g}", where=where))


@contextmanager
def _output(file: str) -> Iterator[BinaryIO]:
    if file == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    opener: Callable[..., BinaryIO] = gzip.open if file.endswith(".gz") else open  # type: ignore[assignment]
    try:
        with opener(Path(file), "wb") as out:
            yield out
    except OSError as exc:
        raise UserError("{path} can't be written: {why}", path=file, why=Foreign(exc.strerror or exc)) from None
