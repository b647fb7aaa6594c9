"""What becomes of each record of a partition: accepted, late, duplicate, rejected, forwarded or forwarded again.

The answer is a pure function of the partition's log up to the record. Worker and archiver run this same code
over the same log, so they agree on every record without talking to each other, and so does a replay.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pipeline.ingest.aliases import Aliases
from pipeline.ingest.attribution import Attribution
from pipeline.ingest.history import EventColumns, LogHistory, columns_of
from pipeline.ingest.links import Kind, Owners, told_person
from pipeline.ingest.partitioner import homes_of
from pipeline.ingest.records import NOT_OF_THE_RECORD, Classified, Outcome, Record, Unreadable, unforeseen
from pipeline.ingest.validate import Rejection, Validator
from schemas.event import EARLIEST_TS, Event
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
        outcomes = [Outcome.REJECTED] * n
        events: list[Event | None] = [None] * n
        result = Classified(records, outcomes, events)
        between: list[tuple[int, str]] = []
        parse, max_future, identity = self._validator.parse, self._max_future, self._whose.on
        alone = result.alone
        # Of events that have both ids; whether a pair is known is asked of all at once.
        both: list[int] = []
        pairs: list[int] = []
        for i, record in enumerate(records):
            try:
                if record.headers and (homes := self._whose.no_event(result, i)):
                    between += [(i, home) for home in homes]
                    continue
                event = parse(record.value, record.offset)
                written = record.timestamp
                if written is not None and EARLIEST_TS <= written < event.ts - max_future:
                    ahead = (event.ts - written) // 1000
                    raise Rejection("time_in_future", f"ts {event.ts} is {ahead} s after it was written to Kafka")
                events[i] = event
                if identity:
                    found = event.fields
                    user = found.get("user_id")
                    if not user:
                        alone.append(i)
                    elif device := found.get("anonymous_id"):
                        both.append(i)
                        pairs.append(hash((user, device)))
            except Rejection as why:
                result.rejections[i] = Rejection("unreadable", record.why) if isinstance(record, Unreadable) else why
            except NOT_OF_THE_RECORD:
                raise
            except Exception as exc:
                result.rejections[i] = unforeseen(exc)
        if between:
            self._whose.refuse_astray(result, between)
        whole = not (result.rejections or between)
        valid = list(range(n)) if whole else [i for i, event in enumerate(events) if event is not None]
        try:
            here = self._only_here(result, valid)
            batch = self._columns(result, here)
        except NOT_OF_THE_RECORD:
            raise
        except Exception:
            # Nothing has changed the state yet, and what follows works on numbers only: find whose it is.
            valid = [i for i in valid if self._goes_on(result, i)]
            here = self._only_here(result, valid)
            batch = self._columns(result, here)
        result.watermark = self.watermark
        leaving = self._whose.identify(result, here, self._whose.claims(result, both, pairs)) if identity else None
        if here:
            self.judge(result, batch._replace(leaving=leaving))
        if leaving is not None:
            # What turned out to be a duplicate goes nowhere.
            result.forwarded = {i: p for i, p in result.forwarded.items() if result.outcomes[i] is Outcome.FORWARDED}
        return result

    def _goes_on(self, result: Classified, i: int) -> bool:
        """Whether one record can be judged further; rejects it if it raises what nobody foresaw."""
        try:
            self._columns(result, self._only_here(result, [i]))
        except NOT_OF_THE_RECORD:
            raise
        except Exception as exc:
            result.rejections[i] = unforeseen(exc)
            result.outcomes[i], result.events[i] = Outcome.REJECTED, None
            result.forwarded.pop(i, None)
            return False
        return True

    def _only_here(self, result: Classified, valid: list[int]) -> list[int]:
        """The indexes whose actor lives in this partition; marks the others as forwarded."""
        if not valid:
            return valid
        if self._whose.on:
            records = result.records
            for i in [i for i in valid if records[i].headers]:
                told = told_person(records[i].headers)
                if told is not None:
                    # Its actor is linked, and the partition it comes from knows that.
                    event = result.events[i]
                    assert event is not None
                    event.actor, result.hops[i] = told
        home = homes_of([event.actor for event in _picked(result.events, valid)], self._partitions)
        wrong = np.flatnonzero(home != self._partition)
        for j in wrong.tolist():
            result.outcomes[valid[j]] = Outcome.FORWARDED
            result.forwarded[valid[j]] = int(home[j])
        if len(wrong):
            away = set(wrong.tolist())
            return [i for j, i in enumerate(valid) if j not in away]
        return valid

    def _columns(self, result: Classified, here: list[int]) -> EventColumns:
        return columns_of(here, _picked(result.events, here), _picked(result.records, here))


def _picked(items: Sequence[Any], indexes: list[int]) -> Sequence[Any]:
    """The items at `indexes` (ascending): nearly always all of them."""
    return items if len(indexes) == len(items) else [items[i] for i in indexes]
