-- title: Transitions between events
-- group: paths
-- definition: Within sessions: after each event, which event comes next, and how often.
-- formula: share = times `next` follows `event` / times anything or the end follows `event`; (start) and (end) stand for the
--   beginning and the end of a session
-- grain: one row a pair of events that occurs
-- parameters:
--   from Date = today - 6: first day on which sessions began, inclusive
--   to Date = today: last day, inclusive
--   collapse UInt8 = 1: 1 takes repeats of an event in a row for one
-- example: SELECT * FROM transitions(from = '2026-11-24', to = '2026-11-30', collapse = 1)
-- mistakes: Events that the app sends by itself come between those of the user. Events at the same millisecond stand in
--   the order of their names.
-- chart: heatmap x=next y=event series=share
SELECT
    if(a = 0, '(start)', (SELECT names FROM event_names)[a]) AS event,
    if(b = 0, '(end)', (SELECT names FROM event_names)[b]) AS next,
    count() AS times,
    uniqExact(who) AS users,
    times / sum(times) OVER (PARTITION BY a) AS share
FROM
(
    SELECT who, arrayJoin(arrayZip(arrayPushFront(path, 0), arrayPushBack(path, 0))) AS pair, pair.1 AS a, pair.2 AS b
    FROM {database}.session_paths(from = {from:Date}, to = {to:Date}, collapse = {collapse:UInt8})
)
GROUP BY a, b
ORDER BY event = '(start)' DESC, event, times DESC, next
