-- the events of each session that began on the days from to to, in order, as numbers in event_names; collapse 1: repeats once
SELECT person, arrayMap(m -> toUInt16(m % 65536), moments) AS all_events,
    if({collapse:UInt8} = 1, arrayCompact(all_events), all_events) AS path
FROM
(
    -- A moment is its millisecond and its event in one number: that is quicker to gather and sort than text.
    SELECT person, arraySort(groupArray(ms * 65536 + number)) AS moments, min(day) AS day
    FROM
    (
        SELECT person, session_id, day, toUInt64(toUnixTimestamp64Milli(ts)) AS ms,
            toUInt64(indexOf((SELECT names FROM event_names), event)) AS number
        FROM activity
        -- All its events, however long ago it began: else it would begin anew with the days that are asked for.
        WHERE session_id != '' AND (person, session_id) IN (
            SELECT person, session_id FROM activity
            WHERE session_id != '' AND day BETWEEN {from:Date} AND {to:Date}
                AND toDate(ts) BETWEEN {from:Date} - 1 AND {to:Date} + 1)
    )
    GROUP BY person, session_id
    UNION ALL
    SELECT person, arrayMap(m -> m.1, span) AS moments, span[1].2 AS day
    FROM
    (
        SELECT
            person,
            arraySort(groupArray((ms * 65536 + number, day))) AS all_moments,
            arrayMap((m, i) -> i > 1 AND intDiv(m.1, 65536) - intDiv(all_moments[i - 1].1, 65536)
                > (SELECT session_gap_ms FROM thresholds), all_moments, arrayEnumerate(all_moments)) AS begins
        FROM
        (
            SELECT person, day, toUInt64(toUnixTimestamp64Milli(ts)) AS ms,
                toUInt64(indexOf((SELECT names FROM event_names), event)) AS number
            FROM activity
            WHERE session_id = '' AND toDate(ts) >= {from:Date} - 2 AND person IN (
                SELECT person FROM activity
                WHERE session_id = '' AND day BETWEEN {from:Date} AND {to:Date}
                    AND toDate(ts) BETWEEN {from:Date} - 1 AND {to:Date} + 1)
        )
        GROUP BY person
    )
    ARRAY JOIN arraySplit((m, b) -> b, all_moments, begins) AS span
)
WHERE day BETWEEN {from:Date} AND {to:Date}
