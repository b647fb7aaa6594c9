-- Persons: a device (anonymous_id) or an old user id belongs to a user from a record of the log on, and then all that it
-- ever did is that user's. Rows keep the id that they were sent with; whose they are is looked up when they are read, so a
-- link that comes late changes all history, and nothing is written anew.
--
-- The lookup is a join rather than a dictionary: it is exact at once, on every server of a cluster, and no slower
-- (docs/decisions/0013-persons-in-sql.md).
ALTER TABLE events_raw
    ADD COLUMN IF NOT EXISTS owner String COMMENT 'id as which the event was counted when it was stored, if its actor was linked by then; else empty' AFTER actor;

CREATE TABLE IF NOT EXISTS links_raw
(
    stream LowCardinality(String) COMMENT 'incarnation of the Kafka log',
    partition UInt16 COMMENT 'Kafka partition that the linked id lives in',
    offset UInt64 COMMENT 'Kafka offset of the record that links, in that partition',
    id String COMMENT 'device (anonymous_id), or old user_id',
    person String COMMENT 'user_id that claims it',
    kind LowCardinality(String) COMMENT 'login (an event with both ids), alias, or import',
    outcome LowCardinality(String) COMMENT 'linked: the first claim; refused: another user''s, once a user; shared: of one user too many, from here on the id is nobody''s',
    ts DateTime64(3, 'UTC') COMMENT 'time of the event that links',
    watermark Int64 COMMENT 'the partition after the record: largest event time believed, epoch ms',
    stored_at DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'when the row was stored'
)
ENGINE = ReplacingMergeTree
ORDER BY (id, stream, partition, offset, person)
COMMENT 'claims of users on devices and old user ids; read the views links, owners and persons';

CREATE TABLE IF NOT EXISTS handovers_raw
(
    stream LowCardinality(String) COMMENT 'incarnation of the Kafka log',
    partition UInt16 COMMENT 'Kafka partition of the person',
    offset UInt64 COMMENT 'Kafka offset of the record that hands over',
    part UInt32 COMMENT 'number of the record, where one handover took several',
    id String COMMENT 'whose counts are handed over',
    person String COMMENT 'to whom',
    watermark Int64 COMMENT 'the partition after the record: largest event time believed, epoch ms',
    stored_at DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'when the row was stored'
)
ENGINE = ReplacingMergeTree
ORDER BY (stream, partition, offset)
COMMENT 'counts that went from one partition to another with a link; for verify';

CREATE OR REPLACE VIEW links AS
SELECT stream, partition, offset, id, person, kind, outcome, ts, stored_at FROM links_raw FINAL;

-- Whose an id is: at most four links are followed (device, old user, new user), and a circle of aliases ends there.
-- `shared` names, by stream, the offset from which on the id is nobody's. Rows that stand twice change nothing here, so
-- there is no FINAL. Few ids go on from a person, so these are followed by themselves.
CREATE OR REPLACE VIEW owners AS
WITH
    linked AS
    (
        SELECT
            id,
            argMinIf(person, (ts, stream, partition, offset), outcome = 'linked') AS person,
            minMapIf(map(toString(stream), offset), outcome = 'shared') AS shared
        FROM links_raw
        WHERE outcome IN ('linked', 'shared')
        GROUP BY id
    ),
    onward AS
    (
        SELECT id, argMin(person, (ts, stream, partition, offset)) AS person
        FROM links_raw
        WHERE outcome = 'linked' AND id IN (SELECT person FROM links_raw WHERE outcome = 'linked')
        GROUP BY id
    ),
    turns AS
    (
        SELECT a.id AS id, multiIf(c.person != '', c.person, b.person != '', b.person, a.person) AS person
        FROM onward AS a
        LEFT ANY JOIN onward AS b ON b.id = a.person
        LEFT ANY JOIN onward AS c ON c.id = b.person
    )
SELECT l.id AS id, if(t.person != '', t.person, l.person) AS person, l.shared AS shared
FROM linked AS l
LEFT ANY JOIN turns AS t ON t.id = l.person
WHERE l.person != '';

CREATE OR REPLACE VIEW events AS
SELECT
    e.* EXCEPT (owner, origin, watermark, clock, claim, claimed),
    if(o.person = '' OR mapContains(o.shared, toString(e.stream)) AND e.offset >= o.shared[toString(e.stream)],
        if(e.owner != '', e.owner, e.actor), o.person) AS person
FROM events_raw AS e FINAL
LEFT ANY JOIN owners AS o ON o.id = if(e.owner != '', e.owner, e.actor)
SETTINGS do_not_merge_across_partitions_select_final = 1;

ALTER TABLE live_partition_raw
    ADD COLUMN IF NOT EXISTS links UInt64 COMMENT 'records by which partitions tell each other who an id belongs to' AFTER repeated;
CREATE OR REPLACE VIEW live_partition AS SELECT * FROM live_partition_raw FINAL;
