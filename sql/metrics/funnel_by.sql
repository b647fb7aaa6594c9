-- title: Funnel by dimension
-- group: conversion
-- definition: The funnel for each platform, channel, country or any other field or property that the user's first event of
--   the first step has.
-- formula: as in funnel; a user counts under the value of the earliest first step in the period
-- grain: one row a value and step
-- parameters:
--   from Date = today - 29: first day of the first step, inclusive
--   to Date = today: last day of the first step, inclusive
--   steps Array(String) = funnel steps: the events in order, at most 8
--   within UInt64 = funnel window: seconds from the first step in which the others must follow
--   dimension String = platform: a field such as platform or channel, or properties.NAME
-- example: SELECT * FROM funnel_by(from = '2026-11-01', to = '2026-11-30', steps = ['view_item', 'purchase'],
--   within = 86400, dimension = 'platform')
-- mistakes: Small values have large swings: look at users before the rates.
-- chart: bar x=event y=from_first series=value
SELECT
    value,
    toUInt32(k) AS step,
    {steps:Array(String)}[k] AS event,
    reached[k] AS users,
    users / reached[1] AS from_first,
    if(k = 1 OR reached[k - 1] = 0, NULL, users / reached[k - 1]) AS from_previous,
    if(k = 1 OR users = 0, NULL, medians[k - 1]) AS median_seconds
FROM
(
    SELECT
        by AS value,
        sumForEach(arrayMap(i -> toUInt64(level >= i), range(1, length({steps:Array(String)}) + 1))) AS reached,
        quantileExactInclusiveForEach(0.5)(arrayMap(ms -> ms / 1000, arrayPopFront(arrayDifference(chain)))) AS medians
    FROM {database}.funnel_users(from = {from:Date}, to = {to:Date}, steps = {steps:Array(String)},
        within = {within:UInt64}, dimension = {dimension:String})
    GROUP BY value
)
ARRAY JOIN range(1, length({steps:Array(String)}) + 1) AS k
ORDER BY reached[1] DESC, value, step
