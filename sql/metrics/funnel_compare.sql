-- title: Funnel against another period
-- group: conversion
-- definition: Each step's conversion in the period and in one to compare with, and which step has become worse the most.
-- formula: change = from_previous in the period - from_previous in the other, in points; lost_users = how many more would
--   have taken the step at the rate of the other period; worst = 1 where change is the lowest and below 0
-- grain: one row a step
-- parameters:
--   from Date = today - 7: first day of the first step, inclusive
--   to Date = today - 1: last day of the first step, inclusive
--   compare_from Date = before from: first day of the other period, inclusive
--   compare_to Date = before to: last day of the other period, inclusive
--   steps Array(String) = funnel steps: the events in order, at most 8
--   within UInt64 = funnel window: seconds from the first step in which the others must follow
--   until Date = today - 1: last day of what counts, inclusive: the last one that is over
-- example: SELECT * FROM funnel_compare(from = '2026-11-16', to = '2026-11-22', compare_from = '2026-11-09',
--   compare_to = '2026-11-15', steps = ['view_item', 'add_to_cart', 'purchase'], within = 86400, until = '2026-11-29')
-- mistakes: A change of a small step is often chance: p_value is that of a two-proportion z-test, pooled, and of many
--   steps one is below 0.05 by chance. Compare whole weeks. Days whose users have
--   not all had `within` by the end of `until` are left out, and as many days of the other period.
-- chart: bar x=event y=from_previous,compare_from_previous
SELECT * EXCEPT pooled FROM
(
SELECT
    toUInt32(k) AS step,
    {steps:Array(String)}[k] AS event,
    now[k] AS users,
    other[k] AS compare_users,
    if(k = 1 OR now[k - 1] = 0, NULL, now[k] / now[k - 1]) AS from_previous,
    if(k = 1 OR other[k - 1] = 0, NULL, other[k] / other[k - 1]) AS compare_from_previous,
    from_previous - compare_from_previous AS change,
    if(change < 0, -change * now[k - 1], 0) AS lost_users,
    if(k = 1 OR (now[k] + other[k]) IN (0, now[k - 1] + other[k - 1]), NULL, (now[k] + other[k]) / (now[k - 1] + other[k - 1]))
        AS pooled,
    2 * (1 - 0.5 * (1 + erf(abs(change) / sqrt(pooled * (1 - pooled) * (1 / now[k - 1] + 1 / other[k - 1])) / sqrt(2))))
        AS p_value,
    ifNull(change < 0 AND change = min(change) OVER (), 0) AS worst
FROM
(
    SELECT
        arrayResize(sumForEachIf(flags, is_now), length({steps:Array(String)})) AS now,
        arrayResize(sumForEachIf(flags, NOT is_now), length({steps:Array(String)})) AS other
    FROM
    (
        SELECT arrayMap(i -> toUInt64(level >= i), range(1, length({steps:Array(String)}) + 1)) AS flags, 1 AS is_now
        FROM {database}.funnel_users(
            from = {from:Date}, to = least({to:Date}, {until:Date} - intDiv({within:UInt64} + 86399, 86400)),
            steps = {steps:Array(String)}, within = {within:UInt64}, dimension = '')
        UNION ALL
        SELECT arrayMap(i -> toUInt64(level >= i), range(1, length({steps:Array(String)}) + 1)), 0
        FROM {database}.funnel_users(from = {compare_from:Date},
            to = {compare_to:Date} - ({to:Date} - least({to:Date}, {until:Date} - intDiv({within:UInt64} + 86399, 86400))),
            steps = {steps:Array(String)}, within = {within:UInt64}, dimension = '')
    )
)
ARRAY JOIN range(1, length({steps:Array(String)}) + 1) AS k
ORDER BY step
)
ORDER BY step
