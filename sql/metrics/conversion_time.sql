-- title: Time to convert
-- group: conversion
-- definition: How long the users who took the last step of a funnel needed from the first to the last.
-- formula: users by the time of the chain that windowFunnel counts, in tenths of `within`; cumulative_share of all who
--   converted
-- grain: one row a tenth of the window
-- parameters:
--   from Date = today - 29: first day of the first step, inclusive
--   to Date = today: last day of the first step, inclusive
--   steps Array(String) = funnel steps: the events in order, at most 8
--   within UInt64 = funnel window: seconds from the first step in which the others must follow
-- example: SELECT * FROM conversion_time(from = '2026-11-01', to = '2026-11-30', steps = ['view_item', 'purchase'],
--   within = 86400)
-- mistakes: Users who would need longer than `within` have not converted: a wide window shows whether there are many.
-- chart: bar x=up_to_seconds y=users
SELECT
    tenth * {within:UInt64} / 10 AS up_to_seconds,
    c.users AS users,
    if(sum(users) OVER () = 0, NULL, users / sum(users) OVER ()) AS share,
    if(sum(users) OVER () = 0, NULL, sum(users) OVER (ORDER BY tenth) / sum(users) OVER ()) AS cumulative_share
FROM (SELECT arrayJoin(range(1, 11)) AS tenth) AS t
LEFT JOIN
(
    SELECT toUInt8(greatest(1, ceil((chain[-1] - chain[1]) / greatest({within:UInt64} * 100, 1)))) AS tenth, count() AS users
    FROM {database}.funnel_users(
        from = {from:Date}, to = {to:Date}, steps = {steps:Array(String)}, within = {within:UInt64}, dimension = '')
    WHERE level = length({steps:Array(String)})
    GROUP BY tenth
) AS c ON c.tenth = t.tenth
ORDER BY up_to_seconds
