-- Rejected records that were sent again through a later plan, so that none is sent twice.
CREATE TABLE IF NOT EXISTS redriven_raw
(
    stream LowCardinality(String) COMMENT 'incarnation of the Kafka log',
    partition UInt16 COMMENT 'Kafka partition of the rejected record',
    offset UInt64 COMMENT 'Kafka offset of the rejected record',
    at DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'when it was sent again'
)
ENGINE = ReplacingMergeTree
ORDER BY (stream, partition, offset)
TTL toDateTime(at) + INTERVAL {rejected_retention_days} DAY
COMMENT 'rejected records that were sent again';
