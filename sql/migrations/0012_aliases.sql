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
