-- The front door: who sent an event, and what is known of where it came from.
ALTER TABLE events_raw
    ADD COLUMN IF NOT EXISTS source LowCardinality(String) COMMENT 'who sent it through the front door (the name of the write key), empty if it came another way' AFTER referrer,
    ADD COLUMN IF NOT EXISTS browser LowCardinality(String) COMMENT 'browser, empty if not sent' AFTER source,
    ADD COLUMN IF NOT EXISTS region LowCardinality(String) COMMENT 'region of the country, empty if not sent' AFTER browser,
    ADD COLUMN IF NOT EXISTS city LowCardinality(String) COMMENT 'city, empty if not sent' AFTER region,
    ADD COLUMN IF NOT EXISTS bot LowCardinality(String) COMMENT 'program that crawls, where the plan keeps its events; else empty' AFTER city;
-- The view's columns are those of its making.
CREATE OR REPLACE VIEW events AS
SELECT
    e.* EXCEPT (counted_as, origin, watermark, clock, claim, claimed),
    if(
        o.person = '' OR (
            o.is_shared
            AND e.offset >= transform(
                concat(toString(e.stream), '\0', e.counted_as),
                (SELECT groupArray(concat(toString(stream), '\0', id)) FROM links_raw WHERE outcome = 'shared'),
                (SELECT groupArray(offset) FROM links_raw WHERE outcome = 'shared'),
                toUInt64(18446744073709551615))),
        e.counted_as,
        o.person) AS person
FROM events_raw AS e FINAL
LEFT ANY JOIN owners AS o ON o.id = e.counted_as
SETTINGS do_not_merge_across_partitions_select_final = 1, use_hash_table_stats_for_join_reordering = 0;

-- Bytes that are no JSON can't say who sent them: the front door says it beside them.
ALTER TABLE rejected_raw
    ADD COLUMN IF NOT EXISTS source LowCardinality(String) COMMENT 'who sent it through the front door, where its value can''t say it';
CREATE OR REPLACE VIEW rejected AS
SELECT * REPLACE (if(source = '', JSONExtractString(value, 'source'), toString(source)) AS source) FROM rejected_raw FINAL;

-- Attributes come by the log, too. Their version is the time that they were told for, not that of the row.
ALTER TABLE user_attributes_raw
    ADD COLUMN IF NOT EXISTS stored_at DateTime64(3, 'UTC') DEFAULT imported_at COMMENT 'when the row was stored';
