-- One record may hand over the counts of several ids.
ALTER TABLE handovers_raw
    ADD COLUMN IF NOT EXISTS item UInt32 COMMENT 'number of the handover in its record' AFTER offset,
    MODIFY ORDER BY (stream, partition, offset, item);

-- Aliases (old user ids) are decided by one partition, which tells the home of the old id: so of one that holds there are
-- two rows where these are different partitions. Whose an id is, is said by the home alone (outcome `linked`).
ALTER TABLE links_raw
    MODIFY COLUMN partition UInt16 COMMENT 'Kafka partition that the linked id lives in; of an alias that was refused or decided, the one that decides on aliases',
    MODIFY COLUMN outcome LowCardinality(String) COMMENT 'linked: the first claim; refused: another user''s, once a user, or an alias that would make a circle or too long a chain; shared: of one user too many, from here on the id is nobody''s; decided: an alias that holds, which the home of the id is told';

CREATE OR REPLACE VIEW links AS
SELECT stream, partition, offset, substring(l.id, if(startsWith(l.id, '$device:'), 9, 1)) AS id, person, kind, outcome, ts, stored_at
FROM links_raw AS l FINAL
WHERE outcome != 'decided';

-- Whose a row is. The ids that are shared and their offsets come out of one query: of two, each has its own order of the
-- rows, where the table has several parts, and an id got the offset of another one.
CREATE OR REPLACE VIEW events AS
WITH
    (
        SELECT (groupArray(concat(toString(stream), '\0', id)), groupArray(offset))
        FROM links_raw WHERE outcome = 'shared'
    ) AS shared
SELECT
    e.* EXCEPT (counted_as, origin, watermark, clock, claim, claimed),
    if(
        o.person = '' OR (
            o.is_shared
            AND e.offset >= transform(
                concat(toString(e.stream), '\0', e.counted_as), shared.1, shared.2, toUInt64(18446744073709551615))),
        e.counted_as,
        o.person) AS person
FROM events_raw AS e FINAL
LEFT ANY JOIN owners AS o ON o.id = e.counted_as
SETTINGS do_not_merge_across_partitions_select_final = 1, use_hash_table_stats_for_join_reordering = 0;
