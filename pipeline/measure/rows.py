"""The rows that live measures become in ClickHouse: what the fold hands to the publisher.

Every row is a function of (stream, partition, version): `version` is the source offset up to which the row was
folded, so of two rows with the same key the one with the higher version is right, whoever wrote it.
"""

from __future__ import annotations

from typing import NamedTuple


class ActivityRow(NamedTuple):
    """One window of one dimension value in one partition."""

    partition: int
    grain: str  # minute | hour | day (the plan's time zone) | day_utc (only where that differs)
    start: int  # epoch ms, UTC, of the window's start
    end: int  # epoch ms, UTC, of the window's end (exclusive)
    dimension: str  # "" for the total, else the fields joined by "," such as "platform,channel"
    value: tuple[str, ...]  # the fields' values; ("(other)",) beyond the plan's max_values; "" where missing
    version: int
    events: int
    amount: int  # 10^-6 units
    users: float  # estimate (HyperLogLog), exact for small counts
    sessions: float
    registrations: float


class FunnelRow(NamedTuple):
    """One funnel, cohort bucket and breakdown value in one partition."""

    partition: int
    funnel: str
    definition: str  # short hash of the funnel's definition: a changed funnel starts anew
    start: int  # of the bucket, epoch ms
    end: int
    breakdown: str  # "" for the total, else the field
    value: str
    version: int
    users: tuple[int, ...]  # users that reached step 1, 2, ... (at least)
    step_count: tuple[int, ...]  # per transition k -> k+1: users
    step_sum_ms: tuple[int, ...]  # per transition: summed time
    bins: tuple[dict[int, int], ...]  # per transition: log histogram (bin index to users), mergeable over partitions


class PartitionRow(NamedTuple):
    """Where a partition stands: which records were counted, and how."""

    partition: int
    version: int  # = next source offset
    watermark: int  # epoch ms
    accepted: int
    late: int
    duplicate: int
    rejected: int
    forwarded: int
    forwarded_again: int
    links: int
    at: int  # when the row was made, epoch ms
    active_1m: float  # users of the minute of `at` and the one before
    active_5m: float
    active_30m: float


class GapRow(NamedTuple):
    """Records that were gone from the log (retention, DeleteRecords) before they were read."""

    partition: int
    first: int  # first offset that is missing
    end: int  # the one after the last
    watermark: int  # largest event time accepted before them, epoch ms; 0: none
