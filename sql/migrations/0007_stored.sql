-- Retention counts from when a row was stored. The time of the Kafka record is the producer's to choose (-1, a time of
-- ten years ago in a topic that was copied, a time of the next century): rows went away at once, or never.
--
-- For the rows of before, the time of the record stands for it, as it did.
ALTER TABLE events_raw
    ADD COLUMN IF NOT EXISTS stored_at DateTime64(3, 'UTC') DEFAULT ingested_at COMMENT 'when the row was stored; its retention counts from here' CODEC(Delta, ZSTD),
    ADD COLUMN IF NOT EXISTS watermark Int64 COMMENT 'the partition after the record: largest event time believed, epoch ms' CODEC(Delta, ZSTD),
    ADD COLUMN IF NOT EXISTS clock Int64 COMMENT 'the partition after the record: latest record time believed, epoch ms' CODEC(Delta, ZSTD),
    ADD COLUMN IF NOT EXISTS claim Int64 COMMENT 'the partition after the record: record time that waits to be believed, else 0' CODEC(Delta, ZSTD),
    ADD COLUMN IF NOT EXISTS claimed Int64 COMMENT 'the partition after the record: largest event time that waits with it, else 0' CODEC(Delta, ZSTD);
ALTER TABLE events_raw MODIFY TTL toDateTime(stored_at) + INTERVAL {retention_days} DAY;
CREATE OR REPLACE VIEW events AS
SELECT * EXCEPT (origin, watermark, clock, claim, claimed) FROM events_raw FINAL
SETTINGS do_not_merge_across_partitions_select_final = 1;

-- The two tables of what is no event were cut into months by that same time: records of 2,400 months, which anybody can
-- send in a second, made 2,400 parts of each insert. They are made anew without months (their retention is short), and
-- what they held is copied. A run that was cut off after the rename finds it done, and goes on with the copy.
ALTER TABLE rejected_raw ADD COLUMN IF NOT EXISTS stored_at DateTime64(3, 'UTC') DEFAULT at COMMENT 'when the row was stored';
CREATE TABLE IF NOT EXISTS rejected_new
(
    stream LowCardinality(String) COMMENT 'incarnation of the Kafka log',
    partition UInt16 COMMENT 'Kafka partition of the record',
    offset UInt64 COMMENT 'Kafka offset of the record',
    at DateTime64(3, 'UTC') COMMENT 'time of the Kafka record, whoever set it; 1970-01-01 if it has none',
    reason LowCardinality(String) COMMENT 'why it was rejected, a stable code',
    detail String COMMENT 'why, for a person',
    key String COMMENT 'key of the record, its bytes',
    value String COMMENT 'value of the record, its bytes, whole' CODEC(ZSTD(3)),
    stored_at DateTime64(3, 'UTC') DEFAULT at COMMENT 'when the row was stored; its retention counts from here'
)
ENGINE = ReplacingMergeTree
ORDER BY (reason, at, stream, partition, offset)
TTL toDateTime(stored_at) + INTERVAL {rejected_retention_days} DAY
COMMENT 'records that are not events of the plan';
RENAME TABLE rejected_raw TO rejected_by_month, rejected_new TO rejected_raw;
INSERT INTO rejected_raw (stream, partition, offset, at, reason, detail, key, value, stored_at)
SELECT stream, partition, offset, at, reason, detail, key, value, stored_at FROM rejected_by_month;
DROP TABLE IF EXISTS rejected_by_month;
DROP TABLE IF EXISTS rejected_new;
CREATE OR REPLACE VIEW rejected AS SELECT * FROM rejected_raw FINAL;

ALTER TABLE duplicates_raw ADD COLUMN IF NOT EXISTS stored_at DateTime64(3, 'UTC') DEFAULT at COMMENT 'when the row was stored';
CREATE TABLE IF NOT EXISTS duplicates_new
(
    stream LowCardinality(String) COMMENT 'incarnation of the Kafka log',
    partition UInt16 COMMENT 'Kafka partition of the record',
    offset UInt64 COMMENT 'Kafka offset of the record',
    at DateTime64(3, 'UTC') COMMENT 'time of the Kafka record, whoever set it; 1970-01-01 if it has none',
    event LowCardinality(String) COMMENT 'name of the event',
    event_id String COMMENT 'the id that was seen before',
    actor String COMMENT 'whose event it is',
    origin UInt64 COMMENT 'mark of a record that was sent on to this partition, else 0',
    outcome LowCardinality(String) DEFAULT 'duplicate' COMMENT 'duplicate; forwarded_again: it says it was sent on from where another record came from',
    stored_at DateTime64(3, 'UTC') DEFAULT at COMMENT 'when the row was stored; its retention counts from here'
)
ENGINE = ReplacingMergeTree
ORDER BY (at, stream, partition, offset)
TTL toDateTime(stored_at) + INTERVAL {rejected_retention_days} DAY
COMMENT 'events that were sent again';
RENAME TABLE duplicates_raw TO duplicates_by_month, duplicates_new TO duplicates_raw;
INSERT INTO duplicates_raw (stream, partition, offset, at, event, event_id, actor, origin, stored_at)
SELECT stream, partition, offset, at, event, event_id, actor, origin, stored_at FROM duplicates_by_month;
DROP TABLE IF EXISTS duplicates_by_month;
DROP TABLE IF EXISTS duplicates_new;
CREATE OR REPLACE VIEW duplicates AS SELECT * EXCEPT origin FROM duplicates_raw FINAL;
