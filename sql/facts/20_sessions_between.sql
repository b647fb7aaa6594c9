-- sessions that began on the days from to to: by session_id, or by a pause of the plan's session_gap where there is none
SELECT person, session_id, start, end, day, events, dateDiff('millisecond', start, end) / 1000 AS seconds
FROM
(
    SELECT person, session_id, min(ts) AS start, max(ts) AS end, min(day) AS day, count() AS events
    FROM activity
    -- All its events, however long ago it began: else it would begin anew with the days that are asked for.
    WHERE session_id != '' AND (person, session_id) IN (
        SELECT person, session_id FROM activity
        WHERE session_id != '' AND day BETWEEN {from:Date} AND {to:Date} AND toDate(ts) BETWEEN {from:Date} - 1 AND {to:Date} + 1)
    GROUP BY person, session_id
    UNION ALL
    SELECT person, '' AS session_id, span[1].1 AS start, span[-1].1 AS end, span[1].2 AS day, length(span) AS events
    FROM
    (
        SELECT
            person,
            arraySort(groupArray((ts, day))) AS moments,
            arrayMap((m, i) -> i > 1 AND dateDiff('millisecond', moments[i - 1].1, m.1)
                > (SELECT session_gap_ms FROM thresholds), moments, arrayEnumerate(moments)) AS begins
        FROM activity
        -- Two days before, of which none can be without a pause and yet begin on the first day; and all that follow.
        WHERE session_id = '' AND toDate(ts) >= {from:Date} - 2 AND person IN (
            SELECT person FROM activity
            WHERE session_id = '' AND day BETWEEN {from:Date} AND {to:Date} AND toDate(ts) BETWEEN {from:Date} - 1 AND {to:Date} + 1)
        GROUP BY person
    )
    ARRAY JOIN arraySplit((m, b) -> b, moments, begins) AS span
)
WHERE day BETWEEN {from:Date} AND {to:Date}
