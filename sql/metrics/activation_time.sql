-- title: Time to activation
-- group: activation
-- definition: How many of the users who joined in the period, and have had 7 days since, were activated within an hour, a
--   day, 3 days, a week, later, or not yet.
-- formula: users by the time from joining to their first activation; share of all who joined; cumulative share
-- grain: one row a span of time
-- parameters:
--   from Date = today - 37: first day of joining, inclusive
--   to Date = today - 8: last day, inclusive
--   until Date = today - 1: last day of what counts, inclusive: the last one that is over
-- example: SELECT * FROM activation_time(from = '2026-11-01', to = '2026-11-23', until = '2026-11-30')
-- mistakes: Users who joined less than 7 days before the end of `until` are left out. "not yet" grows smaller with time for the same users: compare periods of the same age.
-- chart: bar x=within y=users
SELECT
    ['1 hour', '1 day', '3 days', '7 days', 'later', 'not yet'][spans.place] AS within,
    t.users AS users,
    if(sum(users) OVER () = 0, NULL, users / sum(users) OVER ()) AS share,
    if(place = 6 OR sum(users) OVER () = 0, NULL, sum(users) OVER (ORDER BY place) / sum(users) OVER ())
        AS cumulative_share
FROM (SELECT arrayJoin(range(1, 7)) AS place) AS spans
LEFT JOIN
(
    SELECT
        multiIf(a.at IS NULL, 6, at < joined + toIntervalHour(1), 1, at < joined + toIntervalDay(1), 2,
            at < joined + toIntervalDay(3), 3, at < joined + toIntervalDay(7), 4, 5) AS place,
        count() AS users
    FROM (SELECT person, joined FROM users WHERE joined_day BETWEEN {from:Date} AND least({to:Date}, {until:Date} - 7)) AS u
    LEFT JOIN (SELECT person, toNullable(min(ts)) AS at FROM activations GROUP BY person) AS a ON a.person = u.person
    GROUP BY place
) AS t ON t.place = spans.place
ORDER BY spans.place
