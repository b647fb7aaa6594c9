-- title: Funnel
-- group: conversion
-- definition: How many of the users who took the first step in the period took each further step, in order, within a time
--   from the first; and how long each step took them. Any events, up to 8 steps.
-- formula: ClickHouse's windowFunnel, the first step within the period; from_first = users / users of step 1;
--   from_previous = users / users of the step before; times between the events of the chain that windowFunnel counts
-- grain: one row a step
-- parameters:
--   from Date = today - 29: first day of the first step, inclusive
--   to Date = today: last day of the first step, inclusive
--   steps Array(String) = funnel steps: the events in order
--   within UInt64 = funnel window: seconds from the first step in which the others must follow
-- example: SELECT * FROM funnel(from = '2026-11-01', to = '2026-11-30',
--   steps = ['view_item', 'add_to_cart', 'purchase'], within = 86400)
-- mistakes: A user counts once in the period, in live_funnel once a bucket: they agree for a period of one bucket. Users
--   of the last days may not have had their time yet. Steps are event names: a funnel with conditions is one of the plan.
-- chart: funnel x=event y=users
SELECT
    toUInt32(k) AS step,
    {steps:Array(String)}[k] AS event,
    reached[k] AS users,
    if(reached[1] = 0, NULL, users / reached[1]) AS from_first,
    if(k = 1 OR reached[k - 1] = 0, NULL, users / reached[k - 1]) AS from_previous,
    if(k = 1, 0, reached[k - 1] - users) AS dropped,
    if(k = 1 OR users = 0, NULL, medians[k - 1]) AS median_seconds,
    if(k = 1 OR users = 0, NULL, p90s[k - 1]) AS p90_seconds
FROM
(
    SELECT
        sumForEach(arrayMap(i -> toUInt64(level >= i), range(1, length({steps:Array(String)}) + 1))) AS reached,
        quantileExactInclusiveForEach(0.5)(arrayMap(ms -> ms / 1000, arrayPopFront(arrayDifference(chain)))) AS medians,
        quantileExactInclusiveForEach(0.9)(arrayMap(ms -> ms / 1000, arrayPopFront(arrayDifference(chain)))) AS p90s
    FROM {database}.funnel_users(
        from = {from:Date}, to = {to:Date}, steps = {steps:Array(String)}, within = {within:UInt64}, dimension = '')
)
ARRAY JOIN range(1, length({steps:Array(String)}) + 1) AS k
ORDER BY step
