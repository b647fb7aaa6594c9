-- Raw events, one row per accepted or late record of the Kafka log.
--
-- A row is named by (stream, partition, offset): whoever inserts a record again inserts the same row, and equal rows
-- collapse. Days come first in the order because nearly every question has a span of days; then the event, then the
-- actor, so that funnels and retention read an actor's events side by side.
CREATE TABLE IF NOT EXISTS events_raw
(
    stream LowCardinality(String) COMMENT 'incarnation of the Kafka log that the record came from',
    partition UInt16 COMMENT 'Kafka partition of the record',
    offset UInt64 COMMENT 'Kafka offset of the record in its partition' CODEC(Delta, ZSTD),
    event LowCardinality(String) COMMENT 'name of the event, as in the tracking plan',
    event_id String COMMENT 'id that the producer gave the event',
    actor String COMMENT 'user_id if known, else anonymous_id',
    user_id String COMMENT 'id of the user, empty before login',
    anonymous_id String COMMENT 'id of the visitor before login, empty if none',
    session_id String COMMENT 'id of the session, empty if the producer sends none',
    ts DateTime64(3, 'UTC') COMMENT 'when it happened, by the producer''s clock' CODEC(Delta, ZSTD),
    platform LowCardinality(String) COMMENT 'platform, empty if not sent',
    app_version LowCardinality(String) COMMENT 'version of the app, empty if not sent',
    channel LowCardinality(String) COMMENT 'acquisition channel, empty if not sent',
    campaign LowCardinality(String) COMMENT 'campaign, empty if not sent',
    country LowCardinality(String) COMMENT 'country, empty if not sent',
    device LowCardinality(String) COMMENT 'device, empty if not sent',
    os LowCardinality(String) COMMENT 'operating system, empty if not sent',
    language LowCardinality(String) COMMENT 'language, empty if not sent',
    referrer String COMMENT 'referrer, empty if not sent',
    value Decimal(18, 6) COMMENT 'the value that the plan sums for this event (revenue), else 0',
    properties String COMMENT 'the event''s own properties as JSON' CODEC(ZSTD(3)),
    late Bool COMMENT 'older than the lateness allows: not in the live windows',
    ingested_at DateTime64(3, 'UTC') COMMENT 'time of the Kafka record'
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(ts)
ORDER BY (toDate(ts), event, actor, ts, stream, partition, offset)
TTL toDateTime(ingested_at) + INTERVAL {retention_days} DAY
COMMENT 'raw events; read the view events, which leaves out rows that were inserted twice';

-- Where a partition's archive ends is asked at every start of an archiver.
ALTER TABLE events_raw ADD INDEX IF NOT EXISTS by_offset offset TYPE minmax GRANULARITY 1;

CREATE OR REPLACE VIEW events AS
SELECT * FROM events_raw FINAL
SETTINGS do_not_merge_across_partitions_select_final = 1;

CREATE TABLE IF NOT EXISTS rejected_raw
(
    stream LowCardinality(String) COMMENT 'incarnation of the Kafka log',
    partition UInt16 COMMENT 'Kafka partition of the record',
    offset UInt64 COMMENT 'Kafka offset of the record',
    at DateTime64(3, 'UTC') COMMENT 'time of the Kafka record',
    reason LowCardinality(String) COMMENT 'why it was rejected, a stable code',
    detail String COMMENT 'why, for a person',
    key String COMMENT 'key of the record, its bytes',
    value String COMMENT 'value of the record, its bytes, whole' CODEC(ZSTD(3))
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(at)
ORDER BY (reason, at, stream, partition, offset)
TTL toDateTime(at) + INTERVAL {rejected_retention_days} DAY
COMMENT 'records that are not events of the plan';

CREATE OR REPLACE VIEW rejected AS SELECT * FROM rejected_raw FINAL;

CREATE TABLE IF NOT EXISTS duplicates_raw
(
    stream LowCardinality(String) COMMENT 'incarnation of the Kafka log',
    partition UInt16 COMMENT 'Kafka partition of the record',
    offset UInt64 COMMENT 'Kafka offset of the record',
    at DateTime64(3, 'UTC') COMMENT 'time of the Kafka record',
    event LowCardinality(String) COMMENT 'name of the event',
    event_id String COMMENT 'the id that was seen before',
    actor String COMMENT 'whose event it is'
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(at)
ORDER BY (at, stream, partition, offset)
TTL toDateTime(at) + INTERVAL {rejected_retention_days} DAY
COMMENT 'events that were sent again';

CREATE OR REPLACE VIEW duplicates AS SELECT * FROM duplicates_raw FINAL;
