-- title: Activation rate and time
-- group: activation
-- definition: Of the users who joined on a day, how many were activated within so many days, and how long it took them.
-- formula: activated = users with an activation event within `days` times 24 hours of joining / users who joined; joining
--   is the first registration, or the first event if the plan names no registration
-- grain: one row a day on which users joined
-- parameters:
--   from Date = today - 37: first day of joining, inclusive
--   to Date = today - 8: last day, inclusive
--   days UInt16 = 7: how long a user has for it
--   until Date = today - 1: last day of what counts, inclusive: the last one that is over
-- example: SELECT * FROM activation(from = '2026-11-01', to = '2026-11-23', days = 7, until = '2026-11-30')
-- mistakes: Days whose users have not all had their time by `until` have users and nothing else (NULL): end `days`
--   before it. An activation before the registration (as a visitor) counts with a time of 0.
-- chart: line x=day y=rate
SELECT * EXCEPT had_time FROM
(
SELECT
    joined_day AS day,
    count() AS users,
    day + {days:UInt16} <= {until:Date} AS had_time,
    if(had_time, countIf(hours IS NOT NULL), NULL) AS activated,
    activated / users AS rate,
    if(had_time, quantileExactInclusiveOrNull(0.5)(hours), NULL) AS median_hours,
    if(had_time, quantileExactInclusiveOrNull(0.9)(hours), NULL) AS p90_hours
FROM
(
    SELECT
        assumeNotNull(u.joined_day) AS joined_day,
        if(a.at IS NOT NULL AND a.at < u.joined + toIntervalDay({days:UInt16}),
            greatest(dateDiff('millisecond', u.joined, a.at), 0) / 3600000, NULL) AS hours
    FROM (SELECT person, joined, joined_day FROM users WHERE joined_day BETWEEN {from:Date} AND {to:Date}) AS u
    LEFT JOIN (SELECT person, toNullable(min(ts)) AS at FROM activations GROUP BY person) AS a ON a.person = u.person
)
GROUP BY day
)
ORDER BY day
