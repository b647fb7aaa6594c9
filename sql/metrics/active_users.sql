-- title: Active users and stickiness
-- group: activity
-- definition: Users active on the day (DAU), on it or one of the 6 days before (WAU), on it or one of the 29 days before
--   (MAU), and which share of the month's users comes on a day (stickiness).
-- formula: distinct persons with an event in the 1, 7, 30 days that end with the day; stickiness = dau / mau
-- grain: one row a day, days without events too
-- parameters:
--   from Date = today - 29: first day, inclusive
--   to Date = today: last day, inclusive
-- example: SELECT * FROM active_users(from = '2026-11-01', to = '2026-11-30')
-- mistakes: A rolling MAU is not the users of a calendar month (active_users_calendar). The first days after the first
--   event of all have a low MAU, since there is nothing before them.
-- chart: line x=day y=dau,wau,mau
WITH changes AS
(
    -- A user is counted on a span of days: from an active day until `width` days after it, longer if active again
    -- meanwhile. Adding 1 where a span begins and taking it off where it ends costs less than 30 unions a day. Those of
    -- the same days are taken together: of many users most have days that others have, too.
    SELECT width, change.1 AS at, sum(change.2 * people) AS delta
    FROM
    (
        SELECT
            days,
            toInt64(count()) AS people,
            arrayJoin([1, 7, 30]) AS width,
            arrayFilter((d, i) -> i = 1 OR d - days[i - 1] > width, days, arrayEnumerate(days)) AS begins,
            arrayFilter((d, i) -> i = length(days) OR days[i + 1] - d > width, days, arrayEnumerate(days)) AS ends
        FROM
        (
            SELECT arraySort(groupUniqArray(toUInt32(day))) AS days
            FROM activity
            WHERE day BETWEEN {from:Date} - 29 AND {to:Date} AND toDate(ts) BETWEEN {from:Date} - 30 AND {to:Date} + 1
            GROUP BY person
        )
        GROUP BY days
    )
    ARRAY JOIN arrayConcat(arrayMap(d -> (d, 1), begins), arrayMap(d -> (toUInt32(d + width), -1), ends)) AS change
    GROUP BY width, at
    UNION ALL
    SELECT 1, toUInt32({from:Date}), 0  -- so that there are rows even if nobody was ever active
)
SELECT
    toDate(days.day) AS day,
    sumIf(delta, width = 1) AS dau,
    sumIf(delta, width = 7) AS wau,
    sumIf(delta, width = 30) AS mau,
    if(mau = 0, NULL, dau / mau) AS stickiness
FROM (SELECT arrayJoin(range(toUInt32({from:Date}), toUInt32({to:Date}) + 1)) AS day) AS days
CROSS JOIN changes
WHERE at <= days.day
GROUP BY days.day
ORDER BY day
