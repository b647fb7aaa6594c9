"""What becomes of each record of a partition: accepted, late, duplicate, rejected, forwarded or forwarded again.

The answer is a pure function of the partition's log up to the record. Worker and archiver run this same code
over the same log, so they agree on every record without talking to each other, and so does a replay.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.ingest.aliases import Aliases
from pipeline.ingest.attribution import Attribution
from pipeline.ingest.history import EventColumns, LogHistory, columns_of
from pipeline.ingest.links import Kind, Owners, told_person
from pipeline.ingest.partitioner import homes_of
from pipeline.ingest.records import NOT_OF_THE_RECORD, Classified, Outcome, Record, Unreadable, unforeseen
from pipeline.ingest.validate import Rejection, Validator
from schemas.event import Event
from schemas.plan import Plan


class PartitionClassifier(LogHistory):
    """The classification state of one partition: the watermark, the log's clock, the ids seen, and whose ids are.

    `since` is a time (epoch ms) that is known to have passed when the log began, 0 if none is: the clock begins there.
    """

    def __init__(self, plan: Plan, validator: Validator, partition: int, partitions: int, *, since: int = 0) -> None:
        super().__init__(plan, since)
        self._validator = validator
        self._partition, self._partitions = partition, partitions
        self._max_future = plan.max_future
        self._whose = Attribution(plan, partition, partitions)

    @property
    def owners(self) -> Owners:
        """Whom the ids that live here belong to."""
        return self._whose.owners

    @owners.setter
    def owners(self, owners: Owners) -> None:
        self._whose.owners = owners

    @property
    def aliases(self) -> Aliases:
        """All aliases, in the partition that decides on them."""
        return self._whose.aliases

    @aliases.setter
    def aliases(self, aliases: Aliases) -> None:
        self._whose.aliases = aliases

    def restore_links(self, links: Sequence[tuple[str, str, Kind]]) -> None:
        """Rule again as the log did: claims that changed something, each with its kind, in its order."""
        self._whose.restore(links)

    def classify(self, records: Sequence[Record | Unreadable]) -> Classified:
        """Classify the next records of the partition, in offset order, and move the state past them."""
        n = len(records)
        result = Classified(records, [Outcome.REJECTED] * n, [None] * n)
        result.headed = [i for i, record in enumerate(records) if record.headers]
        valid = self._read(result, self._no_events(result))
        try:
            batch = self._only_here(result, self._columns(result, valid))
        except NOT_OF_THE_RECORD:
            raise
        except Exception:
            # Nothing has changed the state yet, and what follows works on numbers only: find whose it is.
            valid = [i for i in valid if self._goes_on(result, i)]
            batch = self._only_here(result, self._columns(result, valid))
        result.watermark = self.watermark
        leaving = self._identify(result, valid, batch.at.tolist()) if self._whose.on else None
        if len(batch.at):
            self.judge(result, batch._replace(leaving=leaving))
        if leaving is not None:
            # What turned out to be a duplicate goes nowhere.
            result.forwarded = {i: p for i, p in result.forwarded.items() if result.outcomes[i] is Outcome.FORWARDED}
        if len(result.rejections) > 1:
            result.rejections = dict(sorted(result.rejections.items()))
        return result

    def _no_events(self, result: Classified) -> set[int]:
        """The indexes of records that tell something instead of being an event, or should."""
        found: set[int] = set()
        between: list[tuple[int, str]] = []
        for i in result.headed:
            try:
                homes = self._whose.no_event(result, i)
            except Rejection as why:
                result.rejections[i] = why
            except NOT_OF_THE_RECORD:
                raise
            except Exception as exc:
                result.rejections[i] = unforeseen(exc)
            else:
                if not homes:
                    continue
                between += [(i, home) for home in homes]
            found.add(i)
        if between:
            self._whose.refuse_astray(result, between)
        return found

    def _read(self, result: Classified, no_events: set[int]) -> list[int]:
        """Read the events of the records but those; returns the indexes of those that are events."""
        at: Sequence[int] = range(len(result.records))
        if no_events:
            at = [i for i in at if i not in no_events]
        records = _picked(result.records, at)
        values, offsets = [record.value for record in records], [record.offset for record in records]
        try:
            events, rejections = self._validator.parse_all(values, offsets)
        except NOT_OF_THE_RECORD:
            raise
        except Exception:
            # One of them raises what nobody foresaw: find which.
            events, rejections = [], {}
            for j, (value, offset) in enumerate(zip(values, offsets, strict=True)):
                event: Event | None = None
                try:
                    event = self._validator.parse(value, offset)
                except Rejection as why:
                    rejections[j] = why
                except NOT_OF_THE_RECORD:
                    raise
                except Exception as exc:
                    rejections[j] = unforeseen(exc)
                events.append(event)
        if no_events:
            for i, event in zip(at, events, strict=True):
                result.events[i] = event
        else:
            result.events = events
        for j, found in rejections.items():
            record = records[j]
            result.rejections[at[j]] = Rejection("unreadable", record.why) if isinstance(record, Unreadable) else found
        return [i for i in at if i not in result.rejections] if rejections else list(at)

    def _goes_on(self, result: Classified, i: int) -> bool:
        """Whether one record can be judged further; rejects it if it raises what nobody foresaw."""
        try:
            self._only_here(result, self._columns(result, [i]))
        except NOT_OF_THE_RECORD:
            raise
        except Exception as exc:
            result.rejections[i] = unforeseen(exc)
            result.outcomes[i], result.events[i] = Outcome.REJECTED, None
            result.forwarded.pop(i, None)
        return result.events[i] is not None

    def _columns(self, result: Classified, valid: list[int]) -> EventColumns:
        """The columns of valid events; rejects those that lie ahead of the time at which they were written."""
        events = _picked(result.events, valid)
        columns = columns_of(valid, events, _picked(result.records, valid), headed=bool(result.headed))
        early = columns.written < columns.times - self._max_future
        if early.any():
            for j in np.flatnonzero(early).tolist():
                i, ts, written = valid[j], int(columns.times[j]), int(columns.written[j])
                ahead = (ts - written) // 1000
                words = f"ts {ts} is {ahead} s after it was written to Kafka"
                result.rejections[i], result.events[i] = Rejection("time_in_future", words), None
            columns = columns.only(~early)
        return columns

    def _only_here(self, result: Classified, columns: EventColumns) -> EventColumns:
        """The columns of the events whose actor lives in this partition; marks the others as forwarded."""
        at = columns.at.tolist()
        events = _picked(result.events, at)
        if self._whose.on and result.headed:
            records = result.records
            for i in sorted(set(result.headed).intersection(at)):
                event, told = result.events[i], told_person(records[i].headers)
                if event is not None and told is not None:
                    # Its actor is linked, and the partition it comes from knows that.
                    event.actor, result.hops[i] = told
        if not at:
            return columns
        home = homes_of([event.actor for event in events], self._partitions)
        away = home != self._partition
        if not away.any():
            return columns
        for j in np.flatnonzero(away).tolist():
            result.outcomes[at[j]] = Outcome.FORWARDED
            result.forwarded[at[j]] = int(home[j])
        return columns.only(~away)

    def _identify(self, result: Classified, valid: list[int], here: list[int]) -> npt.NDArray[np.bool_] | None:
        """As whom each event counts: see `Attribution`. Which of those `here` count elsewhere, None if none does."""
        if result.rejections:
            valid = [i for i in valid if i not in result.rejections]
        events = _picked(result.events, valid)
        result.alone = [i for i, event in zip(valid, events, strict=True) if not event.user_id]
        return self._whose.identify(result, here, self._whose.claims(result, valid, events))


def _picked(items: Sequence[Any], indexes: Sequence[int]) -> Sequence[Any]:
    """The items at `indexes` (ascending): nearly always all of them."""
    return items if len(indexes) == len(items) else [items[i] for i in indexes]
