-- sessions that began on the days from to to: by session_id, or by a pause of the plan's session_gap where there is none
SELECT person, session_id, span.1 AS start, span.2 AS end, span.3 AS day, span.4 AS events,
    dateDiff('millisecond', start, end) / 1000 AS seconds
FROM
(
    SELECT
        person,
        session_id,
        arraySort(groupArrayIf((ts, day), session_id = '')) AS moments,
        arrayMap((m, i) -> i > 1 AND dateDiff('millisecond', moments[i - 1].1, m.1)
            > (SELECT session_gap_ms FROM thresholds), moments, arrayEnumerate(moments)) AS begins,
        if(session_id != '', [(min(ts), max(ts), min(day), count())],
            arrayMap(s -> (s[1].1, s[-1].1, s[1].2, length(s)), arraySplit((m, b) -> b, moments, begins))) AS spans
    FROM activity
    -- All events of a session, however long ago it began: else it would begin anew with the days that are asked for.
    WHERE session_id IN (SELECT session_id FROM events_raw WHERE session_id != '' AND toDate(ts) BETWEEN {from:Date} - 1 AND {to:Date} + 1)
        -- Without an id two days before, of which none can be without a pause and yet begin on the first day; and all that follow.
        OR session_id = '' AND toDate(ts) >= {from:Date} - 2
    GROUP BY person, session_id
)
ARRAY JOIN spans AS span
WHERE day BETWEEN {from:Date} AND {to:Date}
