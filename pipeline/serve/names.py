"""Every metric that a worker, an archiver or a front door exports: its name, what it means, its type and its labels.

A figure of a partition is exported by the partition's owner alone and vanishes when it loses the partition: sums
over workers are right. Those marked `when current` are exported only while the owner has folded everything that
Kafka had a moment ago (the plan's `settle`): while a worker catches up they are absent, rather than too small.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple


class Name(NamedTuple):
    """One metric. A counter's samples end in `_total`."""

    name: str
    kind: Literal["gauge", "counter", "histogram"]
    meaning: str
    labels: tuple[str, ...] = ()
    role: Literal["worker", "archiver", "collect"] = "worker"
    when_current: bool = False


_MINUTE: Final = ("partition", "dimension", "value")
_P: Final = ("partition",)

# -- the product: complete minutes, by event time -----------------------------------------------------------------
MINUTE_EVENTS: Final = Name(
    "streamgauge_minute_events", "gauge", "Events of the last complete minute", _MINUTE, when_current=True
)
MINUTE_USERS: Final = Name(
    "streamgauge_minute_users", "gauge", "Users of the last complete minute (estimate)", _MINUTE, when_current=True
)
MINUTE_SESSIONS: Final = Name(
    "streamgauge_minute_sessions",
    "gauge",
    "Sessions of the last complete minute (estimate)",
    _MINUTE,
    when_current=True,
)
MINUTE_REGISTRATIONS: Final = Name(
    "streamgauge_minute_registrations", "gauge", "Registrations of the last complete minute", _MINUTE, when_current=True
)
MINUTE_REVENUE: Final = Name(
    "streamgauge_minute_revenue", "gauge", "Sum of the events' values in the last complete minute", _MINUTE,
    when_current=True,
)  # fmt: skip
MINUTE_START: Final = Name(
    "streamgauge_minute_start_seconds", "gauge", "Start of the last complete minute, epoch seconds", _P,
    when_current=True,
)  # fmt: skip
ACTIVE: Final = Name(
    "streamgauge_active_users", "gauge", "Users of the last 5 or 30 complete minutes (estimate)", ("partition", "span"),
    when_current=True,
)  # fmt: skip
TODAY: Final = Name(
    "streamgauge_today", "gauge", "Today so far, in the plan's time zone", ("partition", "measure"), when_current=True
)
FUNNEL_USERS: Final = Name(
    "streamgauge_funnel_users", "gauge",
    "Users that reached a step so far, of the current cohort bucket and the one before",
    ("partition", "funnel", "step", "title", "breakdown", "value", "bucket"), when_current=True,
)  # fmt: skip
FUNNEL_BUCKET: Final = Name(
    "streamgauge_funnel_bucket_seconds", "gauge", "Start of a funnel's current bucket, epoch seconds", ("funnel",)
)

# -- the pipeline: the worker -------------------------------------------------------------------------------------
RECORDS: Final = Name(
    "streamgauge_records", "counter",
    "Records of the log by what became of them: accepted, late, duplicate, rejected, forwarded, forwarded_again, link",
    ("partition", "outcome"), when_current=True,
)  # fmt: skip
REJECTED: Final = Name(
    "streamgauge_rejected_records", "counter", "Rejected records by reason", ("partition", "reason"), when_current=True
)
PARTITIONS: Final = Name("streamgauge_partitions", "gauge", "Partitions of the events topic")
CURRENT: Final = Name(
    "streamgauge_partition_current", "gauge", "1 if all that Kafka had a moment ago is folded, else 0", _P
)
LAG: Final = Name("streamgauge_lag_records", "gauge", "Records of a partition that are not folded yet", _P)
LAG_SECONDS: Final = Name(
    "streamgauge_lag_seconds", "gauge",
    "How long ago all records were written that are known to be folded; grows while Kafka is silent, too", _P,
)  # fmt: skip
WATERMARK: Final = Name("streamgauge_watermark_seconds", "gauge", "Largest event time accepted, epoch seconds", _P)
FRESHNESS: Final = Name(
    "streamgauge_freshness_seconds", "gauge", "How old the newest event was at the moment it was counted", _P
)
BATCHES: Final = Name("streamgauge_batch_records", "histogram", "Batches folded, by their number of records")
STAGE_SECONDS: Final = Name(
    "streamgauge_stage_seconds", "counter", "Time spent in a stage: fold, checkpoint, publish", ("stage",)
)
STAGE_RUNS: Final = Name("streamgauge_stage_runs", "counter", "How often a stage was gone through", ("stage",))
ENTRIES: Final = Name(
    "streamgauge_state_entries", "gauge", "Entries of live state: what memory follows", ("partition", "kind")
)
DELIVERED: Final = Name("streamgauge_deliveries", "counter", "Records that Kafka acknowledged")
RETRIED: Final = Name("streamgauge_deliveries_retried", "counter", "Sends to Kafka that had to be repeated")
PUBLISHED: Final = Name("streamgauge_published_rows", "counter", "Live rows that ClickHouse acknowledged")
PUBLISH_FAILED: Final = Name("streamgauge_publish_failures", "counter", "Attempts to publish live rows that failed")
CHECKPOINT_AGE: Final = Name("streamgauge_checkpoint_age_seconds", "gauge", "Time since the last checkpoint")
PUBLISH_AGE: Final = Name("streamgauge_publish_age_seconds", "gauge", "Time since live rows were last published")
UNPUBLISHED: Final = Name(
    "streamgauge_unpublished_rows", "gauge", "Changed live rows that ClickHouse does not have yet"
)
HOLDING: Final = Name(
    "streamgauge_holding", "gauge", "1 while counting waits because as many rows wait for ClickHouse as may, else 0"
)
MISSING: Final = Name(
    "streamgauge_missing_records", "gauge", "Offsets that Kafka had removed before they were counted", _P
)
UNFORESEEN: Final = Name(
    "streamgauge_unforeseen_records", "counter",
    "Records set aside because of a mistake in this program, since the start",
)  # fmt: skip
RECOVERING: Final = Name("streamgauge_recovering", "gauge", "1 while partitions are being restored, else 0")
RESTORED: Final = Name("streamgauge_restored_records", "counter", "Records of the changelog read to restore state")
RESTORE_LEFT: Final = Name("streamgauge_restore_remaining_records", "gauge", "Records of the changelog still to read")

# -- the pipeline: the archiver -----------------------------------------------------------------------------------
ARCHIVED: Final = Name(
    "streamgauge_archived_records", "counter", "Records archived, by what became of them", ("outcome",), "archiver"
)
INSERTED: Final = Name("streamgauge_inserted_rows", "counter", "Rows acknowledged by ClickHouse", (), "archiver")
INSERTS: Final = Name("streamgauge_inserts", "counter", "Inserts acknowledged by ClickHouse", (), "archiver")
INSERT_SECONDS: Final = Name("streamgauge_insert_seconds", "counter", "Time spent inserting", (), "archiver")
INSERT_FAILED: Final = Name(
    "streamgauge_clickhouse_failures", "counter", "Requests to ClickHouse that failed and are repeated", (), "archiver"
)
ARCHIVER_LAG: Final = Name("streamgauge_archiver_lag_records", "gauge", "Records not archived yet", _P, "archiver")
ARCHIVER_MISSING: Final = Name(
    "streamgauge_archiver_missing_records", "gauge",
    "Offsets that Kafka had removed before they were stored, since the start", _P, "archiver",
)  # fmt: skip
ARCHIVER_UNFORESEEN: Final = Name(
    "streamgauge_archiver_unforeseen_records", "counter",
    "Records set aside because of a mistake in this program, since the start", (), "archiver",
)  # fmt: skip
ARCHIVE_FRESHNESS: Final = Name(
    "streamgauge_archive_freshness_seconds", "gauge", "How old the newest event was when it could be queried", (),
    "archiver",
)  # fmt: skip

# -- the front door -----------------------------------------------------------------------------------------------
COLLECT_REQUESTS: Final = Name(
    "streamgauge_collect_requests", "counter", "Requests answered; protocol is empty where none was recognised",
    ("protocol", "status"), "collect",
)  # fmt: skip
COLLECT_EVENTS: Final = Name(
    "streamgauge_collect_events", "counter", "Events in Kafka: outcome is stored, or the reason of rejection",
    ("source", "protocol", "outcome"), "collect",
)  # fmt: skip
COLLECT_SECONDS: Final = Name(
    "streamgauge_collect_request_seconds", "histogram", "How long requests of events took", (), "collect"
)
COLLECT_ACKNOWLEDGED: Final = Name(
    "streamgauge_collect_acknowledged_records", "counter", "Records that Kafka acknowledged", (), "collect"
)
COLLECT_WAITING: Final = Name(
    "streamgauge_collect_waiting_bytes", "gauge", "Bytes being read or waiting for Kafka", (), "collect"
)
COLLECT_UNFORESEEN: Final = Name(
    "streamgauge_collect_unforeseen_requests", "counter",
    "Requests that met a mistake in this program, since the start", (), "collect",
)  # fmt: skip

#: All of them.
METRICS: Final = tuple(value for value in list(globals().values()) if isinstance(value, Name))


def table() -> str:
    """The metrics as a table in Markdown, for `docs/prometheus.md`."""
    lines = ["| metric | of | what |", "| --- | --- | --- |"]
    for metric in METRICS:
        labels = f"{{{', '.join(metric.labels)}}}" if metric.labels else ""
        ending = "_total" if metric.kind == "counter" else ""
        when = " ¹" if metric.when_current else ""
        lines.append(f"| `{metric.name}{ending}{labels}` | {metric.role} | {metric.meaning}{when} |")
    return "\n".join(lines)
