"""A file of events as the log of one partition: rows in, records in order out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from pipeline.files.reader import BadLineError, Opened, Reading, records
from pipeline.ingest.records import Record
from pipeline.ingest.validate import Rejection, Validator
from schemas.event import LATEST_TS
from schemas.translatable import Foreign, Sentence, said_of

#: Records folded at once. Nothing but speed depends on it.
BATCH = 20_000


class Log:
    """The records of a file, and why lines of it are none."""

    def __init__(self, file: Opened, reading: Reading, validator: Validator) -> None:
        self._file, self._reading, self._validator = file, reading, validator
        #: Lines that no record could be made of.
        self.bad_lines = 0
        #: For each reason the first line that has it, in words.
        self.firsts: dict[str, Sentence | Foreign] = {}

    def as_logged(self) -> Iterator[bytes]:
        """The records in the order of the file."""
        return (value for _, value in self._timed())

    def by_time(self) -> Iterator[bytes]:
        """The records by event time; those that are no events come first.

        Events of one time are ordered by their bytes, not by their place: any order of the lines is the same log.
        """
        return (value for _, value in sorted(self._timed()))

    def _timed(self) -> Iterator[tuple[int, bytes]]:
        for number, value in records(self._file, self._reading, self._bad):
            try:
                yield self._validator.parse(value).ts, value
            except Rejection as why:
                if why.reason not in self.firsts:
                    said = Sentence("{place}: {why}", place=why.reason, why=Foreign(why.detail))
                    self.firsts[why.reason] = said_of(self._file.bad(number, said))
                yield 0, value

    def _bad(self, problem: BadLineError) -> None:
        self.bad_lines += 1
        self.firsts.setdefault("bad_line", said_of(problem))


def batches(values: Iterable[bytes]) -> Iterator[list[Record]]:
    """The records of the log, numbered, as if they had been written after all that they tell of.

    Any other time would make the outcome depend on the day of the replay.
    """
    numbered = (Record(offset, LATEST_TS, None, value) for offset, value in enumerate(values))
    while batch := list(islice(numbered, BATCH)):
        yield batch
