-- Live windows. `version` is the source offset up to which a row was folded: of two rows with one key the higher
-- version is right, whoever wrote it and whenever it arrived. An actor lives in one partition, so figures of
-- partitions add up.
CREATE TABLE IF NOT EXISTS live_activity_raw
(
    stream LowCardinality(String) COMMENT 'incarnation of the Kafka log',
    partition UInt16 COMMENT 'Kafka partition',
    grain LowCardinality(String) COMMENT 'minute, hour, day (the plan''s time zone) or day_utc',
    start DateTime64(3, 'UTC') COMMENT 'start of the window, inclusive',
    end DateTime64(3, 'UTC') COMMENT 'end of the window, exclusive',
    dimension LowCardinality(String) COMMENT 'empty for the total, else the fields, joined by commas',
    value Array(String) COMMENT 'values of the fields; (other) beyond the plan''s max_values',
    version UInt64 COMMENT 'source offset up to which the row was folded',
    events UInt64 COMMENT 'events in the window',
    amount Decimal(38, 6) COMMENT 'sum of the events'' values (revenue)',
    users Float64 COMMENT 'distinct actors, estimated (HyperLogLog)',
    sessions Float64 COMMENT 'distinct session_id, estimated',
    registrations Float64 COMMENT 'distinct actors of the plan''s registration event, estimated',
    updated_at DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'when the row was written'
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(start)
ORDER BY (stream, grain, start, dimension, value, partition)
TTL toDateTime(updated_at) + INTERVAL {minute_retention_days} DAY WHERE grain = 'minute'
COMMENT 'live activity windows by partition; read the view live_activity';

CREATE TABLE IF NOT EXISTS live_funnel_raw
(
    stream LowCardinality(String) COMMENT 'incarnation of the Kafka log',
    partition UInt16 COMMENT 'Kafka partition',
    funnel LowCardinality(String) COMMENT 'name of the funnel in the plan',
    definition LowCardinality(String) COMMENT 'hash of the funnel''s definition: a changed one starts anew',
    start DateTime64(3, 'UTC') COMMENT 'start of the cohort bucket',
    end DateTime64(3, 'UTC') COMMENT 'end of the cohort bucket',
    breakdown LowCardinality(String) COMMENT 'empty for the total, else the field',
    value String COMMENT 'value of the field',
    version UInt64 COMMENT 'source offset up to which the row was folded',
    users Array(UInt64) COMMENT 'users that reached step 1, 2, ...',
    step_count Array(UInt64) COMMENT 'per transition to the next step: users',
    step_sum_ms Array(UInt64) COMMENT 'per transition: summed time in ms',
    bins Array(Map(Int32, UInt64)) COMMENT 'per transition: log histogram of the time, bin to users'
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(start)
ORDER BY (stream, funnel, definition, start, breakdown, value, partition)
COMMENT 'live funnels by partition; read the view live_funnel';

CREATE TABLE IF NOT EXISTS live_partition_raw
(
    stream LowCardinality(String) COMMENT 'incarnation of the Kafka log',
    partition UInt16 COMMENT 'Kafka partition',
    version UInt64 COMMENT 'next source offset to fold',
    watermark DateTime64(3, 'UTC') COMMENT 'largest event time accepted',
    lateness_ms UInt64 COMMENT 'how long after its time an event still counts live',
    accepted UInt64 COMMENT 'records counted',
    late UInt64 COMMENT 'records stored but too old to count live',
    duplicate UInt64 COMMENT 'records whose event_id was seen before',
    rejected UInt64 COMMENT 'records that are not events of the plan',
    moved UInt64 COMMENT 'records sent on to the partition of their actor',
    repeated UInt64 COMMENT 'records sent on twice, skipped',
    active_1m Float64 COMMENT 'users of the current minute and the one before',
    active_5m Float64 COMMENT 'users of the last 5 minutes',
    active_30m Float64 COMMENT 'users of the last 30 minutes',
    updated_at DateTime64(3, 'UTC') COMMENT 'when the row was written'
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (stream, partition)
COMMENT 'where each partition stands';

CREATE OR REPLACE VIEW live_partition AS SELECT * FROM live_partition_raw FINAL;

CREATE OR REPLACE VIEW live_activity AS
WITH horizons AS
(
    SELECT stream, min(toUnixTimestamp64Milli(watermark) - toInt64(lateness_ms)) AS horizon
    FROM live_partition_raw FINAL
    WHERE watermark > toDateTime64(0, 3, 'UTC')
    GROUP BY stream
)
SELECT
    a.stream AS stream,
    a.grain AS grain,
    a.start AS start,
    any(a.end) AS end,
    a.dimension AS dimension,
    arrayStringConcat(a.value, ' / ') AS value,
    sum(a.events) AS events,
    sum(a.amount) AS amount,
    toUInt64(round(sum(a.users))) AS users,
    toUInt64(round(sum(a.sessions))) AS sessions,
    toUInt64(round(sum(a.registrations))) AS registrations,
    toUnixTimestamp64Milli(any(a.end)) <= any(h.horizon) AS final
FROM live_activity_raw AS a FINAL
LEFT JOIN horizons AS h ON h.stream = a.stream
GROUP BY a.stream, a.grain, a.start, a.dimension, a.value;

CREATE OR REPLACE VIEW live_funnel AS
SELECT * EXCEPT (rank_90, low_90, high_90) FROM (
WITH
    1.01 / 0.99 AS gamma,
    summed AS
    (
        SELECT
            stream, funnel, definition, start, any(end) AS bucket_end, breakdown, value,
            sumForEach(users) AS reached,
            sumForEach(step_count) AS counts,
            sumForEach(step_sum_ms) AS sums
        FROM live_funnel_raw FINAL
        GROUP BY stream, funnel, definition, start, breakdown, value
    ),
    times AS
    (
        SELECT
            stream, funnel, definition, start, breakdown, value, transition,
            sumMap(m) AS merged,
            arraySort(mapKeys(merged)) AS indexes,
            arrayCumSum(arrayMap(i -> merged[i], indexes)) AS below,
            arraySum(mapValues(merged)) AS total,
            arrayMap(i -> if(i = -1, 0., 2 * pow(gamma, i) / (gamma + 1)), indexes) AS middles
        FROM live_funnel_raw FINAL
        ARRAY JOIN bins AS m, arrayEnumerate(bins) AS transition
        GROUP BY stream, funnel, definition, start, breakdown, value, transition
    )
SELECT
    s.stream AS stream,
    s.funnel AS funnel,
    s.definition AS definition,
    s.start AS start,
    s.bucket_end AS end,
    s.breakdown AS breakdown,
    s.value AS value,
    step,
    s.reached[step] AS users,
    if(s.reached[1] = 0, NULL, s.reached[step] / s.reached[1]) AS from_first,
    if(step = 1 OR s.reached[step - 1] = 0, NULL, s.reached[step] / s.reached[step - 1]) AS from_previous,
    if(step = 1 OR s.counts[step - 1] = 0, NULL, s.sums[step - 1] / s.counts[step - 1]) AS mean_ms,
    if(step = 1 OR t.total = 0, NULL, (
        t.middles[arrayFirstIndex(b -> b > intDiv(t.total - 1, 2), t.below)]
        + t.middles[arrayFirstIndex(b -> b > intDiv(t.total, 2), t.below)]) / 2) AS median_ms,
    if(step = 1 OR t.total = 0, NULL, 0.9 * (toFloat64(t.total) - 1)) AS rank_90,
    if(rank_90 IS NULL, NULL, t.middles[arrayFirstIndex(b -> b > floor(rank_90), t.below)]) AS low_90,
    if(rank_90 IS NULL, NULL,
        t.middles[arrayFirstIndex(b -> b > least(floor(rank_90) + 1, toFloat64(t.total) - 1), t.below)]) AS high_90,
    low_90 + (rank_90 - floor(rank_90)) * (high_90 - low_90) AS p90_ms
FROM (SELECT *, arrayJoin(arrayEnumerate(reached)) AS step FROM summed) AS s
LEFT JOIN times AS t
    ON t.stream = s.stream AND t.funnel = s.funnel AND t.definition = s.definition AND t.start = s.start
    AND t.breakdown = s.breakdown AND t.value = s.value AND t.transition + 1 = s.step
);

CREATE OR REPLACE VIEW live_now AS
SELECT
    stream,
    toUInt64(round(sum(active_1m))) AS active_now,
    toUInt64(round(sum(active_5m))) AS active_5m,
    toUInt64(round(sum(active_30m))) AS active_30m,
    sum(accepted) AS accepted,
    sum(late) AS late,
    sum(duplicate) AS duplicate,
    sum(rejected) AS rejected,
    max(watermark) AS watermark,
    max(updated_at) AS updated_at
FROM live_partition_raw FINAL
GROUP BY stream;
