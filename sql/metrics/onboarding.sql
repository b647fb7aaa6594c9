-- title: Onboarding checklist
-- title_zh: 新手引导完成率
-- group: activation
-- definition: Of the users who joined in the period, how many did each step of the plan's onboarding checklist within so
--   many days, in any order, and how many did all of it.
-- definition_zh: 统计期内加入的用户在 N 天内完成新手清单每一步（不限顺序）的比例，以及完成全部步骤的比例。
-- formula: rate = users with an event of the step up to `days` times 24 hours after joining (events before joining count:
--   the app is opened before the registration) / users who joined
-- grain: one row a step, and one with step 0 for the whole list
-- parameters:
--   from Date = today - 36: first day of joining, inclusive
--   to Date = today - 7: last day, inclusive
--   days UInt16 = 7: how long a user has for it
-- example: SELECT * FROM onboarding(from = '2026-11-01', to = '2026-11-23', days = 7)
-- mistakes: This is no funnel: a step can have more users than the one before it. Users of the last days have not had
--   their time yet.
-- chart: bar x=name y=rate
WITH joined AS
(
    SELECT actor, joined AS at, joined + toIntervalDay({days:UInt16}) AS until
    FROM users
    WHERE joined_day BETWEEN {from:Date} AND {to:Date}
),
list AS (SELECT arrayJoin(arrayEnumerate(names)) AS step, names[step] AS name FROM (SELECT names FROM onboarding_steps)),
done AS
(
    SELECT e.actor AS actor, e.step AS step, min(e.ts) AS done_at, any(j.at) AS joined_at
    FROM onboarding_events AS e INNER JOIN joined AS j ON j.actor = e.actor
    WHERE e.ts < j.until
    GROUP BY actor, step
),
figures AS
(
    SELECT toUInt32(step) AS step, count() AS users,
        quantileExactInclusive(0.5)(greatest(dateDiff('millisecond', joined_at, done_at), 0) / 3600000) AS hours
    FROM done
    GROUP BY step
    UNION ALL
    SELECT toUInt32(0), count(), quantileExactInclusive(0.5)(hours)
    FROM
    (
        SELECT greatest(dateDiff('millisecond', any(joined_at), max(done_at)), 0) / 3600000 AS hours
        FROM done
        GROUP BY actor
        HAVING count() = (SELECT count() FROM list)
    )
)
SELECT
    l.step AS step,
    l.name AS name,
    (SELECT count() FROM joined) AS joined,
    f.users AS users,
    if(joined = 0, NULL, users / joined) AS rate,
    if(users = 0, NULL, f.hours) AS median_hours
FROM
(
    SELECT toUInt32(step) AS step, name FROM list
    UNION ALL
    SELECT toUInt32(0), 'all steps' FROM list LIMIT 1 BY 1
) AS l
LEFT JOIN figures AS f ON f.step = l.step
ORDER BY if(step = 0, 99, step)
