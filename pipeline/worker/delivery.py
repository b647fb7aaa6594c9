"""Sending records so that they arrive: every one acknowledged by all in-sync replicas, or tried again.

Used for what must be kept before a position may move: checkpoints, rejected records, records sent on to their own
partition. Sending one twice is harmless for all three, so a failed send is simply repeated.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from aiokafka.errors import KafkaError, MessageSizeTooLargeError, RecordListTooLargeError
from faust.exceptions import ProducerSendError

log = logging.getLogger(__name__)


#: What is kept at first of a value that its topic refuses: a record that can't be delivered would stop its partition.
_CUT_BYTES: Final = 100_000


_SIZE: Final = "size"

Headers = tuple[tuple[str, bytes | None], ...]


class Outgoing(NamedTuple):
    """A record to be delivered. `cut` allows to cut the value short if the topic takes nothing so large."""

    topic: str
    partition: int | None
    key: bytes | None
    value: bytes | None
    headers: Headers = ()
    cut: bool = False

    def shortened(self) -> Outgoing:
        """The record with less of its value: a beginning, then a tenth of that, then nothing; its size in a header."""
        value = self.value or b""
        if not any(name == _SIZE for name, _ in self.headers):
            headers = (*self.headers, (_SIZE, str(len(value)).encode()))
            return self._replace(key=None, value=value[:_CUT_BYTES], headers=headers)
        return self._replace(value=value[: len(value) // 10], cut=len(value) > 0)


class Delivery:
    """Delivers records through a Faust producer, and tells for how long it has been failing."""

    def __init__(self, producer: Callable[[], Any]) -> None:
        self._producer = producer
        self.failing_since: float | None = None
        self.last_error = ""
        self.delivered = 0
        self.retries = 0

    async def deliver(self, records: Sequence[Outgoing]) -> int:
        """Return when all `records` are acknowledged; the offset of the last one. Raises only if cancelled.

        A record that its topic refuses for its size is tried again and shown in `/health`, until somebody lets the
        topic take it: going on without it would lose it.
        """
        left = list(records)
        delay = 0.1
        offset = -1
        while left:
            failed, offset, error = await self._try(left, offset)
            if not failed:
                self.failing_since = None
                self.delivered += len(records)
                return offset
            self.failing_since = self.failing_since or time.monotonic()
            self.last_error = _words(error, failed[0])
            self.retries += 1
            log.warning("%s of %s records not delivered (%s): trying again", len(failed), len(left), self.last_error)
            left = failed
            await asyncio.sleep(delay * (0.5 + random.random()))
            delay = min(delay * 2, 10.0)
        return offset

    async def _try(self, records: list[Outgoing], offset: int) -> tuple[list[Outgoing], int, BaseException | None]:
        waiting: list[tuple[Outgoing, Any]] = []
        failed: list[Outgoing] = []
        error: BaseException | None = None
        for record in records:
            try:
                waiting.append((record, await self._send(record)))
            except (KafkaError, ProducerSendError, OSError) as exc:
                failed.append(_for_next_try(record, exc))
                error = exc
        for record, future in waiting:
            try:
                offset = max(offset, (await future).offset)
            except (KafkaError, OSError) as exc:
                failed.append(_for_next_try(record, exc))
                error = exc
        return failed, offset, error

    async def _send(self, record: Outgoing) -> Any:
        return await self._producer().send(
            record.topic, record.key, record.value, record.partition, None, list(record.headers)
        )


def _for_next_try(record: Outgoing, exc: BaseException) -> Outgoing:
    """What to send next time."""
    cause = exc.__cause__ or exc
    too_large = isinstance(cause, MessageSizeTooLargeError | RecordListTooLargeError)
    return record.shortened() if too_large and record.cut else record


def _words(error: BaseException | None, record: Outgoing) -> str:
    cause = (error.__cause__ or error) if error is not None else None
    if isinstance(cause, MessageSizeTooLargeError | RecordListTooLargeError) and not record.cut:
        size = len(record.value or b"")
        return f"the topic {record.topic} refuses a record of {size} bytes: raise its max.message.bytes ({cause!r})"
    return repr(error)
