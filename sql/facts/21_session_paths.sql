-- the events of each session that began on the days from to to, in order, as numbers in event_names; collapse 1: repeats once
SELECT of_person AS person, who, arrayMap(m -> toUInt16(intDiv(m, 4) % 65536), span) AS all_events,
    if({collapse:UInt8} = 1, arrayCompact(all_events), all_events) AS path
FROM
(
    SELECT
        any(person) AS of_person,
        -- The hash by which uniqExact knows texts: quicker to count by.
        reinterpretAsUInt128(sipHash128(of_person)) AS who,
        arraySort(groupArray(moment)) AS moments,
        if(any(has_id), [moments], arraySplit((m, b) -> b, moments, arrayMap((m, i) -> i > 1
            AND intDiv(m, 4 * 65536) - intDiv(moments[i - 1], 4 * 65536) > (SELECT session_gap_ms FROM thresholds),
            moments, arrayEnumerate(moments)))) AS spans
    FROM
    (
        -- A moment is its millisecond, its event and how its day differs from that of UTC (-1 to 1, and 1) in one number,
        -- and a session the hash of its person and its id: that is quicker to group and to sort than text.
        SELECT person, session_id != '' AS has_id, reinterpretAsUInt128(sipHash128(person, session_id)) AS session,
            (toUInt64(toUnixTimestamp64Milli(ts)) * 65536 + toUInt64(transform(event, (SELECT names FROM event_names), arrayEnumerate((SELECT names FROM event_names)), 0)))
                * 4 + toUInt64(day - toDate(ts) + 1) AS moment
        FROM activity
        -- All events of a session, however long ago it began: else it would begin anew with the days that are asked for.
        -- Which those are the last line decides, so a hash is enough here, and none where there are no other days.
        WHERE session_id != '' AND (toDate(ts) BETWEEN {from:Date} - 1 AND {to:Date} + 1 OR cityHash64(session_id) IN
            (SELECT cityHash64(session_id) FROM events_raw
             WHERE session_id != '' AND toDate(ts) BETWEEN {from:Date} - 1 AND {to:Date} + 1
                AND (SELECT count() > 0 FROM (SELECT 1 FROM events_raw WHERE toDate(ts) NOT BETWEEN {from:Date} - 1 AND {to:Date} + 1 LIMIT 1))))
            OR session_id = '' AND toDate(ts) >= {from:Date} - 2
    )
    GROUP BY session
)
ARRAY JOIN spans AS span
WHERE toDate(intDiv(span[1], 4 * 65536 * 86400000)) + span[1] % 4 - 1 BETWEEN {from:Date} AND {to:Date}
