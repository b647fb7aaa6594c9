-- title: Onboarding checklist
-- group: activation
-- definition: Of the users who joined in the period, how many did each step of the plan's onboarding checklist within so
--   many days, in any order, and how many did all of it.
-- formula: rate = users with an event of the step up to `days` times 24 hours after joining (events before joining count:
--   the app is opened before the registration) / users who joined
-- grain: one row a step, and one with step 0 for the whole list
-- parameters:
--   from Date = today - 37: first day of joining, inclusive
--   to Date = today - 8: last day, inclusive
--   days UInt16 = 7: how long a user has for it
--   until Date = today - 1: last day of what counts, inclusive: the last one that is over
-- example: SELECT * FROM onboarding(from = '2026-11-01', to = '2026-11-23', days = 7, until = '2026-11-30')
-- mistakes: This is no funnel: a step can have more users than the one before it. Users who have not had
--   `days` days by the end of `until` are left out.
-- chart: bar x=name y=rate
SELECT * EXCEPT everybody FROM
(
    SELECT
        list.step AS step,
        list.name AS name,
        maxIf(f.users, list.step = 255) OVER () AS everybody,
        everybody AS joined,
        f.users AS users,
        if(joined = 0, NULL, users / joined) AS rate,
        if(users = 0, NULL, f.hours) AS median_hours
    FROM
    (
        SELECT (arrayJoin(arrayZip(arrayPushBack(range(length(names) + 1), 255),
            arrayPushBack(arrayPushFront(names, 'all steps'), ''))) AS n).1 AS step, n.2 AS name
        FROM onboarding_steps
        WHERE notEmpty(names)
    ) AS list
    LEFT JOIN
    (
        SELECT
            toUInt64(each.1) AS step, count() AS users, quantileExactInclusive(0.5)(each.2) AS hours
        FROM
        (
            -- Per user: hours until each step that was done in time, step 0 once all are, and the user as such as step 255.
            SELECT
                (SELECT names FROM onboarding_steps) AS names,
                arrayMap(d -> (d.1, greatest(dateDiff('millisecond', began.joined, d.2), 0) / 3600000),
                    arrayFilter(d -> d.2 < began.joined + toIntervalDay({days:UInt16}), e.firsts)) AS hours,
                arrayJoin(arrayConcat(
                    arrayMap(d -> (d.1, d.2), hours),
                    if(length(hours) = length(names), [(toUInt8(0), arrayMax(arrayMap(d -> d.2, hours)))], []),
                    [(toUInt8(255), toFloat64(0))])) AS each
            FROM
            (
                SELECT person, assumeNotNull(joined) AS joined FROM users
                WHERE joined_day BETWEEN {from:Date} AND least({to:Date}, {until:Date} - {days:UInt16})
            ) AS began
            LEFT JOIN
            (
                SELECT person, groupArray((step, first_at)) AS firsts
                FROM (SELECT person, step, min(ts) AS first_at FROM onboarding_events GROUP BY person, step)
                GROUP BY person
            ) AS e ON e.person = began.person
        )
        GROUP BY step
    ) AS f ON f.step = list.step
)
WHERE step != 255
ORDER BY if(step = 0, 255, step)
