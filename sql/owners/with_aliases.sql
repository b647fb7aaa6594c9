-- Whose an id is where users have old ids (aliases). Four links are followed (device, old user, new user), which is all
-- that a stream can have: a circle or a longer chain is refused. The way ends at an id that is shared. Rows that stand twice change nothing here,
-- so there is no FINAL; in the order of the table the first row of an id costs next to nothing. A device is nobody's
-- person, so only the links of old users lead on: they stand together in the order of the table, and each pass over them
-- joins them with themselves by grouping, since a name of WITH that stands twice is counted twice.
WITH
    onward AS
    (
        SELECT id, person FROM links_raw
        WHERE outcome = 'linked' AND (id < '$device:' OR id >= '$device;')
            AND id NOT IN (SELECT id FROM links_raw WHERE outcome = 'shared')
        ORDER BY id, ts, stream, partition, offset
        LIMIT 1 BY id
    ),
    -- id, the person next to it, and the one that is linked from there (else the same).
    twice AS
    (
        SELECT ask.1 AS id, ask.2 AS first, if(next = '', at, next) AS second
        FROM
        (
            SELECT at, groupArrayIf(ask, ask.1 != '') AS asks, max(next) AS next
            FROM
            (
                SELECT arrayJoin([(id, ('', ''), person), (person, (id, person), '')]) AS each,
                    each.1 AS at, each.2 AS ask, each.3 AS next
                FROM onward
            )
            GROUP BY at
        )
        ARRAY JOIN asks AS ask
    ),
    thrice AS
    (
        SELECT ask AS id, if(next = '', at, next) AS person
        FROM
        (
            SELECT at, groupArrayIf(ask, ask != '') AS asks, max(next) AS next
            FROM
            (
                SELECT arrayJoin([(id, '', first), (second, id, '')]) AS each,
                    each.1 AS at, each.2 AS ask, each.3 AS next
                FROM twice
            )
            GROUP BY at
        )
        ARRAY JOIN asks AS ask
    )
SELECT l.id AS id, if(t.person != '', t.person, l.person) AS person,
    l.id IN (SELECT id FROM links_raw WHERE outcome = 'shared') AS is_shared
FROM
(
    SELECT id, person FROM links_raw WHERE outcome = 'linked'
    ORDER BY id, ts, stream, partition, offset
    LIMIT 1 BY id
) AS l
LEFT ANY JOIN thrice AS t ON t.id = l.person
