-- title: Active days per user
-- group: activity
-- definition: How many of the period's users were active on 1, 2, 3, ... days of it.
-- formula: users by their number of days with an event; share = users / all active users
-- grain: one row a number of days that some user has
-- parameters:
--   from Date = today - 29: first day, inclusive
--   to Date = today: last day, inclusive
-- example: SELECT * FROM active_days_distribution(from = '2026-11-01', to = '2026-11-30')
-- mistakes: Users who joined late in the period could not be active on more days: look at older users by themselves.
-- chart: bar x=days y=users
SELECT days, count() AS users, users / sum(users) OVER () AS share
FROM
(
    SELECT uniqExact(day) AS days
    FROM activity
    WHERE day BETWEEN {from:Date} AND {to:Date} AND toDate(ts) BETWEEN {from:Date} - 1 AND {to:Date} + 1
    GROUP BY person
)
GROUP BY days
ORDER BY days
