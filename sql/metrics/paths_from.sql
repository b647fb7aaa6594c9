-- title: Paths from an event
-- group: paths
-- definition: The most common ways in which sessions go on after an event, or from their beginning.
-- formula: the first occurrence of `start` in a session and the `depth` events after it; share = sessions with this way /
--   sessions with `start`
-- grain: one row a way, the 100 of most sessions
-- parameters:
--   from Date = today - 29: first day on which sessions began, inclusive
--   to Date = today: last day, inclusive
--   start String = '': the event; empty for the beginning of the session
--   depth UInt8 = 3: how many events after it
--   collapse UInt8 = 1: 1 takes repeats of an event in a row for one
-- example: SELECT * FROM paths_from(from = '2026-11-01', to = '2026-11-30', start = 'view_item', depth = 3, collapse = 1)
-- mistakes: A way that is shorter than depth ended with the session: (end) stands in its place.
-- chart: bar x=path y=sessions
SELECT
    arrayStringConcat(arrayMap(n -> if(n = 0, '(end)', (SELECT names FROM event_names)[n]), way), ' → ') AS path,
    count() AS sessions,
    uniqExact(who) AS users,
    sessions / sum(sessions) OVER () AS share
FROM
(
    SELECT
        who,
        if({start:String} = '', 1, indexOf(path, indexOf((SELECT names FROM event_names), {start:String}))) AS at,
        arraySlice(arrayPushBack(path, 0), at, {depth:UInt8} + if({start:String} = '', 0, 1)) AS way
    FROM {database}.session_paths(from = {from:Date}, to = {to:Date}, collapse = {collapse:UInt8})
    WHERE at > 0
)
GROUP BY way
ORDER BY sessions DESC, path
LIMIT 100
