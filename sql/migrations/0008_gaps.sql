-- Records that Kafka removed (retention, DeleteRecords) before a role had read them: counting went on behind them. Which
-- records they were nobody knows; how many offsets, where, and since when, stands here.
CREATE TABLE IF NOT EXISTS gaps_raw
(
    stream LowCardinality(String) COMMENT 'incarnation of the Kafka log',
    role LowCardinality(String) COMMENT 'who has not read them: worker (live windows) or archiver (events, rejected, duplicates)',
    partition UInt16 COMMENT 'Kafka partition',
    first_offset UInt64 COMMENT 'first offset that is missing',
    end_offset UInt64 COMMENT 'the offset after the last that is missing',
    since SimpleAggregateFunction(max, DateTime64(3, 'UTC')) COMMENT 'largest event time before the gap; 1970 if there was none',
    noticed_at SimpleAggregateFunction(min, DateTime64(3, 'UTC')) COMMENT 'when the gap was first noticed'
)
ENGINE = AggregatingMergeTree
ORDER BY (stream, role, partition, first_offset, end_offset)
COMMENT 'records that were gone before they were read; read the view gaps';

CREATE OR REPLACE VIEW gaps AS
SELECT
    stream, role, partition, first_offset, end_offset,
    end_offset - first_offset AS records,
    max(since) AS since,
    min(noticed_at) AS noticed_at
FROM gaps_raw
GROUP BY stream, role, partition, first_offset, end_offset;

-- Which Kafka topic a stream is: a topic that is deleted and made anew has another id, and its offsets begin again.
CREATE TABLE IF NOT EXISTS topics_raw
(
    stream LowCardinality(String) COMMENT 'incarnation of the Kafka log',
    topic String COMMENT 'name of the topic',
    id String COMMENT 'the id that Kafka gave it, in hexadecimal',
    noticed_at DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'when it was first read'
)
ENGINE = ReplacingMergeTree
ORDER BY (stream, topic, id)
COMMENT 'the topic that a stream was made of';
