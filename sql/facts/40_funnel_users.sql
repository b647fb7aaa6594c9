-- one row a person who took the first step on the days from to to: how far it got within so many seconds, and when
SELECT
    person, by, level,
    -- The chain that windowFunnel counts: of the events that complete it in time the earliest, from there back the latest
    -- event of each step before.
    if(level = 1, [times[1][1]], arrayFirst(
        c -> c[1] > 0 AND c[-1] <= c[1] + {within:UInt64} * 1000,
        arrayMap(
            last -> arrayFold(
                (c, k) -> arrayPushFront(c, arrayLast(t -> t <= c[1], times[k])),
                arrayReverse(range(1, toUInt64(level))), [last]),
            times[level]))) AS chain
FROM
(
    SELECT
        person,
        toUInt64(windowFunnel({within:UInt64} * 1000)(
            ms, first, event = {steps:Array(String)}[2], event = {steps:Array(String)}[3],
            event = {steps:Array(String)}[4], event = {steps:Array(String)}[5], event = {steps:Array(String)}[6],
            event = {steps:Array(String)}[7], event = {steps:Array(String)}[8])) AS level,
        argMinIf(by, ms, first) AS by,
        [
            arraySort(groupArrayIf(ms, first)),
            arraySort(groupArrayIf(ms, event = {steps:Array(String)}[2])),
            arraySort(groupArrayIf(ms, event = {steps:Array(String)}[3])),
            arraySort(groupArrayIf(ms, event = {steps:Array(String)}[4])),
            arraySort(groupArrayIf(ms, event = {steps:Array(String)}[5])),
            arraySort(groupArrayIf(ms, event = {steps:Array(String)}[6])),
            arraySort(groupArrayIf(ms, event = {steps:Array(String)}[7])),
            arraySort(groupArrayIf(ms, event = {steps:Array(String)}[8]))
        ] AS times
    FROM
    (
        SELECT person, event, by, toUInt64(toUnixTimestamp64Milli(ts)) AS ms,
            event = {steps:Array(String)}[1] AND day BETWEEN {from:Date} AND {to:Date} AS first
        FROM {database}.activity_by(dimension = {dimension:String})
        WHERE event IN {steps:Array(String)}
            AND toDate(ts) BETWEEN {from:Date} - 1 AND {to:Date} + intDiv({within:UInt64}, 86400) + 2
    )
    GROUP BY person
    HAVING level > 0
)
WHERE throwIf(length(chain) != level, 'the chain of a funnel disagrees with windowFunnel') = 0
    AND throwIf(length({steps:Array(String)}) > 8, 'a funnel has at most 8 steps') = 0
