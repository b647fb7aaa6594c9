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
SELECT event, users, users / everybody AS penetration, events, events / users AS events_per_user,
    user_days / users AS days_per_user
FROM
(
    SELECT
        (SELECT names FROM event_names)[name] AS event,
        uniqExact(who) AS users,
        sum(times) AS events,
        count() AS user_days,
        uniqExactState(who) AS persons,
        uniqExactMerge(persons) OVER () AS everybody
    FROM
    (
        -- Numbers for names, and the hash by which uniqExact knows a text: quicker to group by.
        SELECT
            toUInt16(transform(event, (SELECT names FROM event_names), arrayEnumerate((SELECT names FROM event_names)), 0)) AS name,
            reinterpretAsUInt128(sipHash128(person)) AS who,
            toUInt16(day) AS at,
            count() AS times
        FROM activity
        WHERE day BETWEEN {from:Date} AND {to:Date} AND toDate(ts) BETWEEN {from:Date} - 1 AND {to:Date} + 1
        GROUP BY name, who, at
    )
    GROUP BY name
)
ORDER BY users DESC, event
