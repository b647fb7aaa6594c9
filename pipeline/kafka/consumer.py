"""An aiokafka consumer that hands on records as they are decoded, and that no record can stop.

Four things differ from aiokafka's own:

- A record that aiokafka can't decode is decoded here (`batches.py`).
- Records come as the decoder leaves them: wrapping each in a ConsumerRecord costs 2 µs.
- What is handed on at once is bounded in bytes, as it takes them here and not in Kafka, where it is compressed.
- Only committed records are read; and where a position has fallen out of the log, that is noted (`out_of_range`), for
  whoever reads on from somewhere else must say so.
"""

from __future__ import annotations

import contextlib
import struct
import time
from collections import Counter
from collections.abc import Iterator
from copy import copy
from typing import Any, Final

import aiokafka
from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import READ_COMMITTED, Fetcher, FetchResult, PartitionRecords
from aiokafka.errors import KafkaError
from aiokafka.protocol.fetch import FetchRequest

from pipeline.errors import AnotherTopicError
from pipeline.kafka.batches import damaged, end_of, placed, records_of, weight
from schemas.duration import DAY

#: What every consumer of ours is set to: an aborted transaction never happened.
ISOLATION: Final = "read_committed"
#: So many empty answers, where the log goes on, make a hole: if another one is empty that had so long.
HOLE_AFTER: Final = 5
_PATIENT_MS: Final = 3_000
#: What is handed on at once of a partition takes about so much. More of it is fetched again.
PIECE_BYTES: Final = 16 << 20
#: A member that reads nothing for so long loses its partitions. ClickHouse may be away for days, and that is no reason.
MAX_POLL_INTERVAL_MS: Final = 20 * DAY


class LogRecords(PartitionRecords):  # type: ignore[misc]
    """The records of one fetch from one partition, made of aiokafka's own before anything is read from it."""

    next_fetch_offset: int

    def __init__(self, made: PartitionRecords, data: bytes, suspects: dict[TopicPartition, int]) -> None:
        self.__dict__.update(made.__dict__)
        self._data, self._suspects = data, suspects
        self._handed_on = 0
        self._records_iterator = self._unpack_records()

    def __iter__(self) -> Any:
        self._handed_on = 0
        return self._records_iterator  # not through a `__next__` in Python for each record

    def _unpack_records(self) -> Iterator[Any]:
        data = self._data
        for batch, place in placed(self._records, data):
            if self._handed_on >= PIECE_BYTES:
                return
            sound = not self._check_crcs or batch.validate_crc()
            if not sound and self._suspects.get(self._tp) != (mark := hash(data[place])):
                # Damaged on its way, perhaps: what is the same when it is fetched again stands so in the log.
                self._suspects[self._tp] = mark
                return
            if not sound or not self._left_out(batch):
                records, offsets, size = records_of(batch, data, place) if sound else damaged(batch, data, place)
                self._handed_on += size or 0
                for record, offset in zip(records, offsets, strict=True):
                    if offset >= self.next_fetch_offset:
                        self.next_fetch_offset = offset + 1
                        yield record
                        if size is None:
                            self._handed_on += weight(record)
                            if self._handed_on >= PIECE_BYTES:
                                return
            self.next_fetch_offset = max(batch.next_offset, self.next_fetch_offset)

    def _left_out(self, batch: Any) -> bool:
        """Whether a batch is a transaction's marker, or belongs to a transaction that was given up."""
        if batch.is_control_batch:
            # Who is no broker may have written a marker that is none. (aiokafka unpacks none either.)
            with contextlib.suppress(KafkaError, TypeError, ValueError, struct.error):
                self._consume_aborted_up_to(batch.base_offset)
                if self._contains_abort_marker(batch):
                    self._aborted_producers.discard(batch.producer_id)
            return True
        if not batch.is_transactional or self._isolation_level != READ_COMMITTED:
            return False
        self._consume_aborted_up_to(batch.base_offset)
        return batch.producer_id in self._aborted_producers


class _Listening:
    """A Kafka client that keeps the answers to fetches until the fetcher has looked at them.

    Partitions in `holes` are asked for from the offset before the wanted one: the embedded broker answers with nothing
    where a batch that it has refused has left a hole, for ever, and with what follows where there is a record.

    It answers with nothing as well where it does not find the batch in time: it looks through all of a log, and of many
    small ones that takes long. So where nobody knows yet (`unsure`) it gets more time.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        #: By the id of the request: the answer, and whether it had more time.
        self.answers: dict[int, tuple[Any, bool]] = {}
        self.holes: set[TopicPartition] = set()
        self.unsure: set[TopicPartition] = set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def send(self, node_id: int, request: Any, **more: Any) -> Any:
        if not isinstance(request, FetchRequest):
            return await self._client.send(node_id, request, **more)
        patient = not self.unsure.isdisjoint([TopicPartition(t, p) for t, each in request.topics for p, _, _ in each])
        sent = self._looking_back(request, patient) if self.holes else request
        answer = await self._client.send(node_id, sent, **more)
        self.answers[id(request)] = answer, patient
        return answer

    def _looking_back(self, request: FetchRequest, patient: bool) -> FetchRequest:
        found = copy(request)
        if patient:
            found._max_wait_ms = max(found._max_wait_ms, _PATIENT_MS)
        found._topics = [
            (topic, [(p, max(0, at - (TopicPartition(topic, p) in self.holes)), size) for p, at, size in partitions])
            for topic, partitions in request.topics
        ]
        return found


class LogFetcher(Fetcher):  # type: ignore[misc]
    """aiokafka's fetcher with the records above."""

    def __init__(self, client: Any, *args: Any, **kwargs: Any) -> None:
        self._listening = _Listening(client)
        #: Partitions whose position was outside the log: where they are read on has to be decided.
        self.out_of_range: set[TopicPartition] = set()
        #: By partition: a batch whose checksum was wrong.
        self._suspects: dict[TopicPartition, int] = {}
        #: By partition: a position, and the end of a log that holds nothing behind it.
        self.vacant: dict[TopicPartition, tuple[int, int]] = {}
        #: By partition: how often nothing came although the log goes on behind the position.
        self._nothing: Counter[TopicPartition] = Counter()
        #: When Kafka last answered a fetch (monotonic).
        self.answered_at = time.monotonic()
        super().__init__(self._listening, *args, **kwargs)

    @property
    def failure(self) -> BaseException | None:
        """What ended the fetching, None while it goes on."""
        task = self._fetch_task
        return task.exception() if task.done() and not task.cancelled() else None

    async def _proc_fetch_request(self, assignment: Any, node_id: int, request: Any) -> bool:
        try:
            wake = await super()._proc_fetch_request(assignment, node_id, request)
            answer, patient = self._listening.answers.get(id(request), (None, False))
        finally:
            self._listening.answers.pop(id(request), None)
        # Nobody else has run since the answer was taken in: there is no pause between.
        if answer is not None:
            self.answered_at = time.monotonic()
        for topic, partitions in answer.topics if answer is not None and assignment.active else ():
            for partition, *_, data in partitions:
                tp = TopicPartition(topic, partition)
                found = self._records.get(tp)
                if type(found) is FetchResult and type(found._partition_records) is PartitionRecords:
                    found._partition_records = LogRecords(found._partition_records, data, self._suspects)
                state = assignment.state_value(tp)
                if state.awaiting_reset:
                    self.out_of_range.add(tp)
                self._note_hole(tp, data, state, patient)
        return bool(wake)

    def _note_hole(self, tp: TopicPartition, data: bytes, state: Any, patient: bool) -> None:
        asked = self._listening
        waiting = state.has_valid_position and _end(state) > state.position
        looked_back = waiting and tp in asked.holes
        if looked_back and (data or not state.position) and end_of(data) <= state.position:
            # The log goes on, and not even from the offset before does anything come: it ends with a hole.
            if patient:
                self.vacant[tp] = state.position, _end(state)
                asked.unsure.discard(tp)
            elif self.vacant.get(tp) != (state.position, _end(state)):
                asked.unsure.add(tp)
        if data or not waiting:
            self._nothing.pop(tp, None)
            asked.holes.discard(tp)
            asked.unsure.discard(tp)
        else:
            self._nothing[tp] += 1
            if self._nothing[tp] >= HOLE_AFTER and tp not in asked.holes:
                asked.holes.add(tp)
                asked.unsure.add(tp)


def _end(state: Any) -> int:
    """Up to which offset there is something to read in a partition, by its last answer."""
    stable = state.lso
    known = stable is not None and 0 <= stable <= (state.highwater or 0)
    return int(stable if known else state.highwater or 0)


class LogConsumer(aiokafka.AIOKafkaConsumer):  # type: ignore[misc]
    """aiokafka's consumer with the fetcher above. `start` it without topics, then `subscribe` or `assign`."""

    def __init__(self, *topics: str, **kwargs: Any) -> None:
        super().__init__(*topics, **{"isolation_level": ISOLATION, **kwargs})

    _fetcher: Any

    async def start(self) -> None:
        """Connect; the fetcher that aiokafka has made is replaced before there is anything to fetch."""
        await super().start()
        await self._fetcher.close()
        self._fetcher = LogFetcher(
            self._client,
            self._subscription,
            key_deserializer=None,
            value_deserializer=None,
            fetch_min_bytes=self._fetch_min_bytes,
            fetch_max_bytes=self._fetch_max_bytes,
            fetch_max_wait_ms=self._fetch_max_wait_ms,
            max_partition_fetch_bytes=self._max_partition_fetch_bytes,
            check_crcs=self._check_crcs,
            fetcher_timeout=self._consumer_timeout,
            retry_backoff_ms=self._retry_backoff_ms,
            auto_offset_reset=self._auto_offset_reset,
            isolation_level=self._isolation_level,
            client_rack=self._client_rack,
        )

    @property
    def fetcher(self) -> LogFetcher | None:
        """The fetcher, once started."""
        return self._fetcher if isinstance(self._fetcher, LogFetcher) else None

    def lost_its_place(self, tp: TopicPartition) -> bool:
        """Whether the position was outside the log: `read_on_from` says where to go on."""
        return self.fetcher is not None and tp in self.fetcher.out_of_range

    def found_its_place(self, tp: TopicPartition) -> None:
        """Where to read on has been decided and sought."""
        if self.fetcher is not None:
            self.fetcher.out_of_range.discard(tp)

    def read_to(self, tp: TopicPartition) -> int | None:
        """The next offset to read, past everything that is no record of ours; None while it isn't known."""
        state = self._state(tp)
        return state.position if state is not None and state.has_valid_position else None

    async def read_on_from(self, tp: TopicPartition, wanted: int) -> int:
        """Where to read on if `wanted` is not in the log: there, or where the log begins if that is later.

        Raises AnotherTopicError if the log ends before `wanted`: it is another one.
        """
        begin = (await self.beginning_offsets([tp]))[tp]
        end = (await self.end_offsets([tp]))[tp]
        if wanted > max(begin, end):
            raise AnotherTopicError(
                "topic {topic} was made anew, or cut: its partition {partition} ends at offset "
                "{end}, and everything before offset {wanted} was read",
                topic=tp.topic,
                partition=tp.partition,
                end=end,
                wanted=wanted,
            )
        return int(max(begin, wanted))

    def readable_end(self, tp: TopicPartition) -> int | None:
        """Up to which offset there is something to read now; None before the first fetch.

        Behind it there may be records of transactions that are still open.
        """
        state = self._state(tp)
        if state is None or state.highwater is None:
            return None
        end = _end(state)
        vacant = self.fetcher.vacant.get(tp) if self.fetcher is not None and state.has_valid_position else None
        return int(state.position) if vacant == (state.position, end) and vacant is not None else end

    def held_back(self, tp: TopicPartition) -> int:
        """Offsets at the end of the log that wait for an open transaction."""
        state = self._state(tp)
        return 0 if state is None or state.highwater is None else max(0, state.highwater - _end(state))

    def _state(self, tp: TopicPartition) -> Any:
        subscription = self._subscription.subscription
        assignment = subscription.assignment if subscription is not None else None
        return assignment.state_value(tp) if assignment is not None else None
