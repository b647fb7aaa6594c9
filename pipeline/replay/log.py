"""A file of events as the log of one partition: lines in, records in order out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from pipeline.files.mapping import parse_mapping
from pipeline.files.reader import BadLineError, Reading, read_events, read_lines, zone_of
from pipeline.ingest.classify import Record
from pipeline.ingest.validate import Rejection, Validator
from schemas.event import LATEST_TS
from schemas.plan import Plan

#: Records folded at once. Nothing but speed depends on it.
BATCH = 20_000
_BOM = b"\xef\xbb\xbf"


def read(file: str, mapping: str | None, tz: str | None, plan: Plan, on_bad: Callable[[], None]) -> Iterator[bytes]:
    """The records that the lines of a file make; "-" is standard input. Raises UserError.

    JSON lines are taken as they are, as if each were a Kafka record. A CSV file, or any file with a mapping or a
    time zone, is prepared as `send` does it; what can't be made an event of is left out, after `on_bad()`.
    """
    name = file.lower().removesuffix(".gz")
    if mapping is None and tz is None and not name.endswith((".csv", ".tsv")):
        for number, line in read_lines(file):
            yield line.removeprefix(_BOM) if number == 1 else line
        return
    reading = Reading(parse_mapping(mapping) if mapping else None, zone_of(tz or "UTC"), plan=plan)

    def bad(_: BadLineError) -> None:
        on_bad()

    for prepared in read_events(file, reading, on_bad=bad):
        yield prepared.value


def by_time(values: Iterable[bytes], validator: Validator) -> Iterator[bytes]:
    """The records by event time; those that are no events come first.

    Events of one time are ordered by their bytes, not by their place: any order of the lines is the same log.
    """
    timed: list[tuple[int, bytes]] = []
    for value in values:
        try:
            timed.append((validator.parse(value).ts, value))
        except Rejection:
            timed.append((0, value))
    timed.sort()
    return (value for _, value in timed)


def batches(values: Iterable[bytes]) -> Iterator[list[Record]]:
    """The records of the log, numbered, as if they had been written after all that they tell of.

    Any other time would make the outcome depend on the day of the replay.
    """
    records = (Record(offset, LATEST_TS, None, value) for offset, value in enumerate(values))
    while batch := list(islice(records, BATCH)):
        yield batch
