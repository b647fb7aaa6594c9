-- title: Daily active users
-- title_zh: 日活跃用户（DAU）
-- group: activity
-- definition: Users with at least one event on the day. A user is an actor: user_id if known, else anonymous_id.
-- definition_zh: 当天至少有一个事件的去重用户数；用户按 user_id 计，未登录按 anonymous_id 计。
-- formula: count of distinct actors a day; events; sessions; events / users
-- grain: one row a day, days without events too
-- parameters:
--   from Date = today - 29: first day, inclusive
--   to Date = today: last day, inclusive
-- example: SELECT * FROM active_users_daily(from = '2026-11-01', to = '2026-11-30')
-- mistakes: Days can't be added up to weeks: a user of two days is one user of the week. A visitor who logs in counts
--   once as anonymous and once as a user on that day, unless the producer keeps sending user_id. The last day is
--   incomplete while it lasts.
-- chart: line x=day y=users
SELECT
    days.day AS day,
    a.users AS users,
    a.events AS events,
    if(users = 0, NULL, events / users) AS events_per_user
FROM (SELECT arrayJoin(range(toUInt32(dateDiff('day', {from:Date}, {to:Date}) + 1))) + {from:Date} AS day) AS days
LEFT JOIN
(
    SELECT day, uniqExact(actor) AS users, count() AS events
    FROM activity
    WHERE day BETWEEN {from:Date} AND {to:Date}
        AND toDate(ts) BETWEEN {from:Date} - 1 AND {to:Date} + 1  -- UTC days, in the sorting key: skips the others
    GROUP BY day
) AS a ON a.day = days.day
ORDER BY day
