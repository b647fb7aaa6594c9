-- title: Day N retention by dimension
-- group: retention
-- definition: Of the users who joined in the period: how many were active exactly N days later (classic), and on that day
--   or later (rolling), by the channel, platform or any other field or property that they came with.
-- formula: users = joined in the period, at least N days before `until`; classic_rate = users active on the day of joining
--   + N / users; rolling_rate = users active on that day or later, up to `until` / users
-- grain: one row a value and N
-- parameters:
--   from Date = today - 60: first day of joining, inclusive
--   to Date = today - 1: last day of joining, inclusive
--   until Date = today - 1: last day of activity that counts, inclusive
--   days Array(UInt16) = [1, 3, 7, 14, 30]: the N
--   dimension String = '': a field such as channel, or properties.NAME; empty for all users together
--   return_event String = '': the event that counts as active; empty for any
-- example: SELECT * FROM retention_by(from = '2026-10-01', to = '2026-10-31', until = '2026-11-30', days = [1, 7, 30],
--   dimension = 'channel', return_event = '')
-- mistakes: users differs by N: whoever has not yet had N days is left out, so day 30 is of older users than day 1. The
--   value is the first that any event of the user has.
-- chart: line x=n y=classic_rate series=value
SELECT
    by AS value,
    toUInt32(day_n) AS n,
    count() AS users,
    countIf(has(active_days, joined + n)) AS classic,
    classic / users AS classic_rate,
    countIf(arrayExists(d -> d >= joined + n AND d <= {until:Date}, active_days)) AS rolling,
    rolling / users AS rolling_rate
FROM (
    SELECT by, assumeNotNull(joined_day) AS joined, active_days
    FROM {database}.users_by(dimension = {dimension:String}, return_event = {return_event:String})
    WHERE joined_day BETWEEN {from:Date} AND {to:Date}
)
ARRAY JOIN {days:Array(UInt16)} AS day_n
WHERE joined + day_n <= {until:Date}
GROUP BY value, n
ORDER BY n, users DESC, value
