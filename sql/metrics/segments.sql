-- title: User segments
-- group: segments
-- definition: All users parted into churned, at risk, new, high value and active, by the plan's thresholds.
-- formula: the first that holds. churned: away for longer than dormant. at_risk: longer than at_risk. new: first event less
--   than `new` days ago. high_value: net revenue of at least high_value. Else active
-- grain: one row a segment, empty ones too
-- parameters:
--   on Date = today: the day on which one looks; later events don't count
-- example: SELECT * FROM segments(on = '2026-11-30')
-- mistakes: A user is in one segment: high value customers who are at risk stand under at_risk; high_value_users says how
--   many of a segment have such a revenue.
-- chart: bar x=segment y=users
SELECT
    names.name AS segment,
    s.users AS users,
    if(sum(users) OVER () = 0, NULL, users / sum(users) OVER ()) AS share,
    s.revenue AS revenue,
    s.valuable AS high_value_users
FROM
(
    SELECT (arrayJoin(arrayZip([1, 2, 3, 4, 5], ['new', 'active', 'high_value', 'at_risk', 'churned'])) AS n).1 AS place,
        n.2 AS name
) AS names
LEFT JOIN
(
    SELECT segment, count() AS users, sum(u.revenue) AS revenue,
        countIf(u.revenue >= (SELECT high_value FROM thresholds)) AS valuable
    FROM {database}.users_on(on = {on:Date}) AS u
    GROUP BY segment
) AS s ON s.segment = names.name
ORDER BY names.place
