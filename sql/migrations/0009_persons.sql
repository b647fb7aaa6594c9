-- Persons: a device (anonymous_id) or an old user id belongs to a user from a record of the log on, and then all that it
-- ever did is that user's. Rows keep the id that they were sent with; whose they are is looked up when they are read, so a
-- link that comes late changes all history, and nothing is written anew.
--
-- The lookup is a join rather than a dictionary: it is exact at once, on every server of a cluster, and no slower
-- (docs/decisions/0014-persons-in-sql.md).
ALTER TABLE events_raw
    ADD COLUMN IF NOT EXISTS counted_as String DEFAULT if(user_id != '', user_id, concat('$device:', anonymous_id))
        COMMENT 'id as which the event was counted when it was stored: user_id, or $device: and anonymous_id; or the user that it was sent on to' AFTER actor;

CREATE TABLE IF NOT EXISTS links_raw
(
    stream LowCardinality(String) COMMENT 'incarnation of the Kafka log',
    partition UInt16 COMMENT 'Kafka partition that the linked id lives in',
    offset UInt64 COMMENT 'Kafka offset of the record that links, in that partition',
    id String COMMENT '$device: and anonymous_id, or old user_id',
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
SELECT stream, partition, offset, substring(l.id, if(startsWith(l.id, '$device:'), 9, 1)) AS id, person, kind, outcome, ts, stored_at FROM links_raw AS l FINAL;

-- Whose an id is, by its first link. With the catalogue comes the view that the plan needs (sql/owners).
CREATE OR REPLACE VIEW owners AS
SELECT l.id AS id, l.person AS person, l.id IN (SELECT id FROM links_raw WHERE outcome = 'shared') AS is_shared
FROM
(
    SELECT id, person FROM links_raw WHERE outcome = 'linked'
    ORDER BY id, ts, stream, partition, offset
    LIMIT 1 BY id
) AS l;

-- A row counts as the id that it was sent on to, else as its actor, and that id's person is looked up. Where the id is
-- shared, rows of the same stream from that record on are the id's own; so few ids are that this is asked of their rows only.
--
-- Of a query that it has seen before, ClickHouse may put the other side of a join into memory: here the events, which takes
-- three times as long. By the statistics of that it is not to go.
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

-- Who there is, for people who look at one person or at a few.
CREATE OR REPLACE VIEW persons AS
SELECT
    person,
    arraySort(groupArrayIf(substring(id, 9), startsWith(id, '$device:'))) AS devices,
    arraySort(arrayDistinct(arrayConcat(
        groupArrayIf(id, NOT startsWith(id, '$device:')), if(linked_at IS NULL, [], [person])))) AS users,
    minIf(first, events_ > 0) AS first_seen,
    maxIf(last, events_ > 0) AS last_seen,
    sum(events_) AS events,
    min(linked) AS linked_at,
    argMinIf(kind, linked, linked IS NOT NULL) AS linked_by
FROM
(
    SELECT
        person, id,
        sum(n) AS events_,
        minIf(since, n > 0) AS first,
        max(until) AS last,
        minIf(toNullable(since), n = 0) AS linked,
        max(how) AS kind
    FROM
    (
        SELECT person, concat(if(as_user, '', '$device:'), actor) AS id, n, since, until, '' AS how
        FROM
        (
            SELECT person, actor, user_id != '' AS as_user, count() AS n, min(ts) AS since, max(ts) AS until
            FROM events
            GROUP BY person, actor, as_user
        )
        UNION ALL
        SELECT o.person, l.id, 0, l.ts, toDateTime64(0, 3, 'UTC'), toString(l.kind)
        FROM
        (
            SELECT id, kind, ts FROM links_raw WHERE outcome = 'linked'
            ORDER BY id, ts, stream, partition, offset
            LIMIT 1 BY id
        ) AS l
        INNER JOIN owners AS o ON o.id = l.id
    )
    GROUP BY person, id
)
GROUP BY person
HAVING events > 0;

-- Quality: devices that nobody owns any more, and claims that were not followed.
CREATE OR REPLACE VIEW shared_devices AS
SELECT
    substring(key, if(startsWith(key, '$device:'), 9, 1)) AS id,
    arraySort(groupUniqArray(person)) AS users,
    minIf(ts, outcome = 'shared') AS since
FROM (SELECT id AS key, person, ts, outcome FROM links_raw WHERE id IN (SELECT id FROM links_raw WHERE outcome = 'shared'))
GROUP BY key;

CREATE OR REPLACE VIEW refused_links AS
SELECT substring(l.id, if(startsWith(l.id, '$device:'), 9, 1)) AS id, l.person AS claimed_by, o.person AS belongs_to, l.kind AS kind, l.ts AS ts
FROM links_raw AS l FINAL
LEFT ANY JOIN owners AS o ON o.id = l.id
WHERE l.outcome = 'refused';

-- Attributes are imported by id: a user's, or $device: and a device's.
CREATE OR REPLACE VIEW user_attributes AS
SELECT u.actor AS actor, u.name AS name, u.value AS value, if(o.person = '', u.actor, o.person) AS person
FROM user_attributes_raw AS u FINAL
LEFT ANY JOIN owners AS o ON o.id = u.actor;

-- Yesterday's users are persons, as today's are.
CREATE OR REPLACE VIEW live_today AS
WITH
    days AS
    (
        SELECT stream, start, end, events, amount, users
        FROM live_activity
        WHERE grain = 'day' AND dimension = ''
    ),
    latest AS (SELECT stream, max(start) AS day FROM days GROUP BY stream),
    pairs AS
    (
        SELECT
            t.stream AS stream,
            t.start AS day,
            n.watermark AS until,
            t.events AS events,
            t.amount AS amount,
            t.users AS users,
            y.start AS yesterday,
            y.stream != '' AS has_yesterday,
            fromUnixTimestamp64Milli(least(
                toUnixTimestamp64Milli(y.start) + toUnixTimestamp64Milli(n.watermark) - toUnixTimestamp64Milli(t.start),
                toUnixTimestamp64Milli(y.end) - 1), 'UTC') AS yesterday_until
        FROM days AS t
        INNER JOIN latest AS l ON l.stream = t.stream AND l.day = t.start
        INNER JOIN live_now AS n ON n.stream = t.stream
        LEFT JOIN days AS y ON y.stream = t.stream AND y.end = t.start
    ),
    before AS
    (
        SELECT
            p.stream AS stream,
            countIf(e.ts <= p.yesterday_until) AS events,
            sumIf(e.value, e.ts <= p.yesterday_until) AS amount,
            uniqExactIf(e.person, e.ts <= p.yesterday_until) AS users
        FROM events AS e
        INNER JOIN (SELECT * FROM pairs WHERE has_yesterday) AS p ON p.stream = e.stream
        WHERE NOT e.late
            AND e.ts >= (SELECT min(yesterday) FROM pairs WHERE has_yesterday)
            AND e.ts <= (SELECT max(yesterday_until) FROM pairs WHERE has_yesterday)
            AND e.ts >= p.yesterday
        GROUP BY p.stream
    )
SELECT
    p.stream AS stream,
    p.day AS day,
    p.until AS until,
    p.events AS events,
    p.amount AS amount,
    p.users AS users,
    if(p.has_yesterday, p.yesterday_until, NULL) AS yesterday_until,
    if(p.has_yesterday, b.events, NULL) AS yesterday_events,
    if(p.has_yesterday, b.amount, NULL) AS yesterday_amount,
    if(p.has_yesterday, b.users, NULL) AS yesterday_users
FROM pairs AS p
LEFT JOIN before AS b ON b.stream = p.stream;

ALTER TABLE live_partition_raw
    ADD COLUMN IF NOT EXISTS links UInt64 COMMENT 'records by which partitions tell each other who an id belongs to' AFTER repeated;
CREATE OR REPLACE VIEW live_partition AS SELECT * FROM live_partition_raw FINAL;
