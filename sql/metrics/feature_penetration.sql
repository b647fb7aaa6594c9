-- title: Feature penetration
-- group: activity
-- definition: Which share of the active users did an event at all, and how often those who did.
-- formula: penetration = users with the event / users with any event, within the period
-- grain: one row an event
-- parameters:
--   from Date = today - 29: first day, inclusive
--   to Date = today: last day, inclusive
-- example: SELECT * FROM feature_penetration(from = '2026-11-01', to = '2026-11-30')
-- mistakes: A feature that is new has had less time to be found: begin with its release. Penetration says nothing about
--   whether they came back to it: see days_per_user.
-- chart: bar x=event y=penetration
SELECT
    (SELECT names FROM event_names)[name] AS event,
    did.users AS users,
    did.users / sum(did.persons) OVER () AS penetration,
    did.events AS events,
    did.events / did.users AS events_per_user,
    did.user_days / did.users AS days_per_user
FROM
(
    -- Sorted, all moments of an event stand together, and all of a day within them: what is first there counts.
    SELECT
        intDiv(moment, 65536) AS name,
        countIf(i = 1 OR intDiv(before, 65536) != name) AS users,
        count() AS events,
        countIf(i = 1 OR before != moment) AS user_days,
        countIf(i = 1) AS persons
    FROM
    (
        -- An event and its day as one number, and the hash by which uniqExact knows a text: quicker to group by.
        SELECT
            arraySort(groupArray(65536 * toUInt32(transform(event, (SELECT names FROM event_names),
                arrayEnumerate((SELECT names FROM event_names)), 0)) + toUInt16(day))) AS moments
        FROM activity
        WHERE day BETWEEN {from:Date} AND {to:Date} AND toDate(ts) BETWEEN {from:Date} - 1 AND {to:Date} + 1
        GROUP BY reinterpretAsUInt128(sipHash128(person))
    )
    ARRAY JOIN
        moments AS moment,
        arrayEnumerate(moments) AS i,
        arrayPushFront(arrayPopBack(moments), toUInt32(0)) AS before
    GROUP BY name
) AS did
ORDER BY users DESC, event
