-- title: Paths to an event
-- group: paths
-- definition: The most common ways by which sessions come to an event.
-- formula: the first occurrence of `target` in a session and the `depth` events before it; share = sessions with this way /
--   sessions with `target`
-- grain: one row a way, the 100 of most sessions
-- parameters:
--   from Date = today - 29: first day on which sessions began, inclusive
--   to Date = today: last day, inclusive
--   target String = last step: the event
--   depth UInt8 = 3: how many events before it
--   collapse UInt8 = 1: 1 takes repeats of an event in a row for one
-- example: SELECT * FROM paths_to(from = '2026-11-01', to = '2026-11-30', target = 'purchase', depth = 3, collapse = 1)
-- mistakes: This looks back from those who came: paths_from shows how many others went the same way to somewhere else.
-- chart: bar x=path y=sessions
SELECT
    arrayStringConcat(arrayMap(n -> if(n = 0, '(start)', (SELECT names FROM event_names)[n]), way), ' → ') AS path,
    count() AS sessions,
    uniqExact(who) AS users,
    sessions / sum(sessions) OVER () AS share
FROM
(
    SELECT
        who,
        arrayPushFront(path, 0) AS whole,
        indexOf((SELECT names FROM event_names), {target:String}) AS wanted,
        if(wanted = 0, 0, indexOf(whole, wanted)) AS at,
        arraySlice(whole, greatest(toInt64(at) - {depth:UInt8}, 1), least(at, {depth:UInt8} + 1)) AS way
    FROM {database}.session_paths(from = {from:Date}, to = {to:Date}, collapse = {collapse:UInt8})
    WHERE at > 0
)
GROUP BY way
ORDER BY sessions DESC, path
LIMIT 100
