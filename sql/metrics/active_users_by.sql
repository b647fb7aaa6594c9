-- title: Active users by dimension
-- group: activity
-- definition: Users and events of the period by platform, channel, country or any other field or property.
-- formula: distinct persons with an event that has the value; share = users / all active users of the period
-- grain: one row a value
-- parameters:
--   from Date = today - 29: first day, inclusive
--   to Date = today: last day, inclusive
--   dimension String = platform: a field such as platform or channel, or properties.NAME
-- example: SELECT * FROM active_users_by(from = '2026-11-01', to = '2026-11-30', dimension = 'platform')
-- mistakes: A user with two values counts under both, so the shares add up to more than 1. An empty value is of events
--   that don't have the field.
-- chart: bar x=value y=users
SELECT value, users, users / everybody AS share, events, events / users AS events_per_user
FROM
(
    SELECT
        value,
        uniqExact(person) AS users,
        sum(times) AS events,
        grouping(value) AS is_total,
        max(if(is_total = 1, users, 0)) OVER () AS everybody
    FROM
    (
        SELECT by AS value, person, count() AS times
        FROM {database}.activity_by(dimension = {dimension:String})
        WHERE day BETWEEN {from:Date} AND {to:Date} AND toDate(ts) BETWEEN {from:Date} - 1 AND {to:Date} + 1
        GROUP BY value, person
    )
    GROUP BY GROUPING SETS ((value), ())
)
WHERE is_total = 0
ORDER BY users DESC, value
