-- sessions that began on the days from to to: by session_id, or by a pause of the plan's session_gap where there is none
SELECT of_person AS person, who, of_session AS session_id, span.1 AS start, span.2 AS end, span.3 AS day, span.4 AS events,
    dateDiff('millisecond', start, end) / 1000 AS seconds
FROM
(
    SELECT
        any(person) AS of_person,
        any(session_id) AS of_session,
        -- The hash by which uniqExact knows texts: quicker to count by.
        reinterpretAsUInt128(sipHash128(of_person)) AS who,
        arraySort(groupArrayIf((ts, day), session_id = '')) AS moments,
        arrayMap((m, i) -> i > 1 AND dateDiff('millisecond', moments[i - 1].1, m.1)
            > (SELECT session_gap_ms FROM thresholds), moments, arrayEnumerate(moments)) AS begins,
        if(of_session != '', [(min(ts), max(ts), min(day), count())],
            arrayMap(s -> (s[1].1, s[-1].1, s[1].2, length(s)), arraySplit((m, b) -> b, moments, begins))) AS spans
    FROM
    (
        -- A session is the hash of its person and its id: quicker to group by.
        SELECT person, session_id, ts, day, reinterpretAsUInt128(sipHash128(person, session_id)) AS session
        FROM activity
        -- All events of a session, however long ago it began: else it would begin anew with the days that are asked for.
        -- Which those are the last line decides, so a hash is enough here, and none where there are no other days.
        WHERE session_id != '' AND (toDate(ts) BETWEEN {from:Date} - 1 AND {to:Date} + 1 OR cityHash64(session_id) IN
            (SELECT cityHash64(session_id) FROM events_raw
             WHERE session_id != '' AND toDate(ts) BETWEEN {from:Date} - 1 AND {to:Date} + 1
                AND (SELECT count() > 0 FROM (SELECT 1 FROM events_raw WHERE toDate(ts) NOT BETWEEN {from:Date} - 1 AND {to:Date} + 1 LIMIT 1))))
            -- Without an id two days before, of which none can be without a pause and yet begin on the first day; and all that follow.
            OR session_id = '' AND toDate(ts) >= {from:Date} - 2
    )
    GROUP BY session
)
ARRAY JOIN spans AS span
WHERE day BETWEEN {from:Date} AND {to:Date}
