-- title: When users are active
-- group: activity
-- definition: Users and events by day of the week and hour, in the plan's time zone.
-- formula: users = distinct (person, day) with an event in that hour; weekday 1 is Monday
-- grain: one row a weekday and hour with events
-- parameters:
--   from Date = today - 27: first day, inclusive
--   to Date = today: last day, inclusive
-- example: SELECT * FROM active_hours(from = '2026-11-02', to = '2026-11-29')
-- mistakes: A period that isn't whole weeks has more Mondays than Sundays. Users in other time zones are shown by the
--   plan's clock, not by theirs.
-- chart: heatmap x=hour y=weekday series=users
SELECT
    toDayOfWeek(day) AS weekday,
    toHour(local_time) AS hour,
    uniqExact(person, day) AS users,
    count() AS events
FROM activity
WHERE day BETWEEN {from:Date} AND {to:Date} AND toDate(ts) BETWEEN {from:Date} - 1 AND {to:Date} + 1
GROUP BY weekday, hour
ORDER BY weekday, hour
