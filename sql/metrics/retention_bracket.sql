-- title: Bracket retention
-- group: retention
-- definition: Of the users who joined in the period: how many were active on any day of a bracket of days after joining,
--   such as days 1 to 2, 3 to 6, 7 to 13, 14 to 29.
-- formula: rate = users with an event on a day from joining + first to joining + last / users whose bracket had ended by
--   `until`; a bracket goes from one of `starts` to the day before the next
-- grain: one row a value and bracket
-- parameters:
--   from Date = today - 60: first day of joining, inclusive
--   to Date = today - 1: last day of joining, inclusive
--   until Date = today - 1: last day of activity that counts, inclusive
--   starts Array(UInt16) = [1, 3, 7, 14, 30]: first day of each bracket; the last number only ends the last bracket
--   dimension String = '': a field such as channel, or properties.NAME; empty for all users together
--   return_event String = '': the event that counts as active; empty for any
-- example: SELECT * FROM retention_bracket(from = '2026-10-01', to = '2026-10-31', until = '2026-11-30',
--   starts = [1, 3, 7, 14, 30], dimension = '', return_event = '')
-- mistakes: Longer brackets have higher rates: compare brackets of different lengths only with themselves over time.
-- chart: bar x=bracket y=rate series=value
SELECT
    by AS value,
    toUInt32(b.1) AS first,
    toUInt32(b.2) AS last,
    concat('days ', toString(first), ' to ', toString(last)) AS bracket,
    count() AS users,
    countIf(arrayExists(d -> d >= joined + b.1 AND d <= joined + b.2, active_days)) AS active,
    active / users AS rate
FROM (
    SELECT by, assumeNotNull(joined_day) AS joined, active_days
    FROM {database}.users_by(dimension = {dimension:String}, return_event = {return_event:String})
    WHERE joined_day BETWEEN {from:Date} AND {to:Date}
)
ARRAY JOIN arrayMap(
    i -> ({starts:Array(UInt16)}[i], {starts:Array(UInt16)}[i + 1] - 1), range(1, length({starts:Array(UInt16)}))) AS b
WHERE joined + b.2 <= {until:Date}
GROUP BY value, first, last
ORDER BY first, users DESC, value
