-- title: Daily active users
-- group: activity
-- definition: Users with at least one event on the day. A user is a person: a user_id with all devices that
--   are linked to it, or a device that nobody owns.
-- formula: count of distinct persons a day; events; sessions; events / users
-- grain: one row a day, days without events too
-- parameters:
--   from Date = today - 29: first day, inclusive
--   to Date = today: last day, inclusive
-- example: SELECT * FROM active_users_daily(from = '2026-11-01', to = '2026-11-30')
-- mistakes: Days can't be added up to weeks: a user of two days is one user of the week. A visitor who logs in is one
--   user, also on the days before; so a login changes past days. What a device does after too many users have claimed it
--   counts as the device's own. The last day is incomplete while it lasts.
-- chart: line x=day y=users
SELECT
    days.day AS day,
    a.users AS users,
    a.events AS events,
    if(users = 0, NULL, events / users) AS events_per_user
FROM (SELECT arrayJoin(range(toUInt32(dateDiff('day', {from:Date}, {to:Date}) + 1))) + {from:Date} AS day) AS days
LEFT JOIN
(
    SELECT day, uniqExact(person) AS users, count() AS events
    FROM activity
    WHERE day BETWEEN {from:Date} AND {to:Date}
        AND toDate(ts) BETWEEN {from:Date} - 1 AND {to:Date} + 1  -- UTC days, in the sorting key: skips the others
    GROUP BY day
) AS a ON a.day = days.day
ORDER BY day
