-- the events of each session that began on the days from to to, in order, as numbers in event_names; collapse 1: repeats once
SELECT of_person AS person, who, arrayMap(m -> toUInt16(m % 65536), span.1) AS all_events,
    if({collapse:UInt8} = 1, arrayCompact(all_events), all_events) AS path
FROM
(
    -- A moment is its millisecond and its event in one number: that is quicker to gather and sort than text.
    SELECT
        who,
        any(person) AS of_person,
        arraySort(groupArrayIf((moment, day), session = 0)) AS moments,
        arrayMap((m, i) -> i > 1 AND intDiv(m.1, 65536) - intDiv(moments[i - 1].1, 65536)
            > (SELECT session_gap_ms FROM thresholds), moments, arrayEnumerate(moments)) AS begins,
        if(session != 0, [(arraySort(groupArrayIf(moment, session != 0)), min(day))],
            arrayMap(s -> (arrayMap(m -> m.1, s), s[1].2), arraySplit((m, b) -> b, moments, begins))) AS spans
    FROM
    (
        -- The hashes by which uniqExact knows texts: quicker to group by.
        SELECT person, day, reinterpretAsUInt128(sipHash128(person)) AS who,
            if(session_id = '', 0, reinterpretAsUInt128(sipHash128(session_id))) AS session,
            toUInt64(toUnixTimestamp64Milli(ts)) * 65536 + toUInt64(transform(event, (SELECT names FROM event_names), arrayEnumerate((SELECT names FROM event_names)), 0)) AS moment
        FROM activity
        -- All events of a session, however long ago it began: else it would begin anew with the days that are asked for.
        -- Which those are the last line decides, so a hash is enough here, and none where there are no other days.
        WHERE session_id != '' AND (toDate(ts) BETWEEN {from:Date} - 1 AND {to:Date} + 1 OR cityHash64(session_id) IN
            (SELECT cityHash64(session_id) FROM events_raw
             WHERE session_id != '' AND toDate(ts) BETWEEN {from:Date} - 1 AND {to:Date} + 1
                AND (SELECT count() > 0 FROM (SELECT 1 FROM events_raw WHERE toDate(ts) NOT BETWEEN {from:Date} - 1 AND {to:Date} + 1 LIMIT 1))))
            OR session_id = '' AND toDate(ts) >= {from:Date} - 2
    )
    GROUP BY who, session
)
ARRAY JOIN spans AS span
WHERE span.2 BETWEEN {from:Date} AND {to:Date}
