-- title: What users did instead
-- group: paths
-- definition: Of the sessions that came to a step and not to the next one after it: what was done right after the step.
-- formula: sessions with `step` and without `next` after its last occurrence, by the event that follows that occurrence;
--   share of those sessions
-- grain: one row an event; (end) for sessions that ended with the step
-- parameters:
--   from Date = today - 29: first day on which sessions began, inclusive
--   to Date = today: last day, inclusive
--   step String = first step: the event that was reached
--   next String = second step: the event that should have followed
-- example: SELECT * FROM instead_of(from = '2026-11-01', to = '2026-11-30', step = 'checkout', next = 'pay')
-- mistakes: The user may have gone on in a later session: funnel with a wider window tells.
-- chart: bar x=event y=sessions
SELECT
    if(number = 0, '(end)', (SELECT names FROM event_names)[number]) AS event,
    count() AS sessions,
    uniqExact(who) AS users,
    sessions / sum(sessions) OVER () AS share
FROM
(
    SELECT
        who,
        length(path) + 1 - indexOf(arrayReverse(path), indexOf((SELECT names FROM event_names), {step:String})) AS at,
        arrayPushBack(path, 0)[at + 1] AS number
    FROM {database}.session_paths(from = {from:Date}, to = {to:Date}, collapse = 1)
    WHERE has(path, indexOf((SELECT names FROM event_names), {step:String}))
        AND NOT has(arraySlice(path, at + 1), indexOf((SELECT names FROM event_names), {next:String}))
)
GROUP BY number
ORDER BY sessions DESC, event
