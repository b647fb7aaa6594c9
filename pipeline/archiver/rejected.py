"""Rejected records: what they are, and sending those again that the current plan accepts.

Once only: a record that was sent again is noted, and it carries the place of its rejection in a header, by which a
second copy (after a crash between sending and noting) is known and skipped within the plan's dedupe horizon.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from aiokafka import AIOKafkaProducer

from pipeline.clickhouse.client import Connection, require_product, require_stream
from pipeline.ingest.records import ORIGIN_HEADER
from pipeline.ingest.validate import Rejection, Validator
from pipeline.progress import progress_bar
from pipeline.settings import Settings
from schemas.event import plain_id
from schemas.plan import Plan
from schemas.translatable import ENGLISH, Speech

_PAGE: Final = 5_000
#: Bytes of a sample that are shown.
_SHOWN: Final = 200


@dataclass
class Reason:
    """One reason of rejection: how many records, since and until when (UTC), and some of them."""

    reason: str
    count: int
    first: Any
    last: Any
    detail: str
    samples: list[str] = field(default_factory=list)


@dataclass
class Redriven:
    """What became of a redrive."""

    looked_at: int = 0
    sent: int = 0
    still_rejected: int = 0


async def rejected_reasons(settings: Settings, samples: int) -> list[Reason]:
    """The reasons in the stream of the settings, most frequent first, each with some samples."""
    connection = Connection(settings)
    await require_stream(connection, settings, "live_partition_raw")
    try:
        # Samples travel as hex: a record may hold any bytes.
        rows = await connection.query(
            "SELECT reason, count(), toString(min(at)), toString(max(at)), any(detail), "
            "arraySlice(groupArray(100)(hex(substring(value, 1, {shown:UInt32}))), 1, {samples:UInt32}) "
            "FROM rejected WHERE stream = {stream:String} GROUP BY reason ORDER BY count() DESC, reason",
            {"stream": settings.stream, "samples": samples, "shown": _SHOWN},
        )
        return [
            Reason(
                reason,
                count,
                first,
                last,
                detail,
                [bytes.fromhex(sample).decode("utf-8", "backslashreplace") for sample in found],
            )
            for reason, count, first, last, detail, found in rows
        ]
    finally:
        await connection.close()


async def redrive(settings: Settings, plan: Plan, reason: str | None, t: Speech = ENGLISH) -> Redriven:
    """Send the rejected records again that `plan` accepts now, oldest first. Restartable; raises on failure."""
    connection, validator = Connection(settings), Validator(plan)
    producer = AIOKafkaProducer(**settings.kafka_kwargs(), linger_ms=20, max_request_size=4 << 20)
    try:
        await require_product(connection, settings, plan)
        await producer.start()
        return await _redrive(connection, settings, validator, producer, reason, t)
    finally:
        await producer.stop()
        await connection.close()


async def _redrive(
    connection: Connection,
    settings: Settings,
    validator: Validator,
    producer: AIOKafkaProducer,
    reason: str | None,
    t: Speech,
) -> Redriven:
    result, after = Redriven(), (-1, 0)
    with progress_bar(t("looking at rejected records"), await _count(connection, settings, reason)) as show:
        while page := await _page(connection, settings, reason, after):
            noted, futures = [], []
            for partition, offset, value in page:
                result.looked_at += 1
                try:
                    event = validator.parse(value)
                except Rejection:
                    result.still_rejected += 1
                    continue
                header = (ORIGIN_HEADER, f"{partition}:{offset}:again".encode())
                key = plain_id(event.actor).encode()
                futures.append(await producer.send(settings.events_topic, value, key=key, headers=[header]))
                noted.append([settings.stream, partition, offset])
            for future in futures:
                await future
            if noted:
                await _note(connection, noted)
            result.sent += len(noted)
            after = page[-1][:2]
            if show is not None:
                show(result.looked_at)
    return result


_LEFT: Final = (
    "FROM rejected WHERE stream = {stream:String} AND ({reason:String} = '' OR reason = {reason:String}) "
    "AND (stream, partition, offset) NOT IN (SELECT stream, partition, offset FROM redriven_raw) "
)


async def _count(connection: Connection, settings: Settings, reason: str | None) -> int:
    parameters = {"stream": settings.stream, "reason": reason or ""}
    return int((await connection.query(f"SELECT count() {_LEFT}", parameters))[0][0])


async def _page(
    connection: Connection, settings: Settings, reason: str | None, after: tuple[int, int]
) -> list[tuple[int, int, bytes]]:
    parameters = {"stream": settings.stream, "p": after[0], "o": after[1], "reason": reason or "", "page": _PAGE}
    rows = await connection.query(
        f"SELECT partition, offset, hex(value) {_LEFT}"
        "AND (toInt64(partition), toInt64(offset)) > ({p:Int64}, {o:Int64}) "
        "ORDER BY partition, offset LIMIT {page:UInt32}",
        parameters,
    )
    return [(row[0], row[1], bytes.fromhex(row[2])) for row in rows]


async def _note(connection: Connection, rows: list[list[Any]]) -> None:
    columns = list(zip(*rows, strict=True))
    await connection.insist(
        lambda: connection.insert("redriven_raw", ["stream", "partition", "offset"], columns),
        "noting what was sent again",
    )
