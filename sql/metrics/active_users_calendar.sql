-- title: Active users by calendar period
-- group: activity
-- definition: Users with at least one event in a calendar day, week (from Monday) or month.
-- formula: distinct persons by period; events; events / users
-- grain: one row a period that has events
-- parameters:
--   from Date = today - 89: first day, inclusive
--   to Date = today: last day, inclusive
--   period String = week (one of day, week, month): length of a period
-- example: SELECT * FROM active_users_calendar(from = '2026-09-01', to = '2026-11-30', period = 'month')
-- mistakes: Periods that from or to cuts are short (whole = 0): don't compare them. Weeks can't be added up to months.
-- chart: bar x=period y=users
SELECT
    toDate(multiIf({period:String} = 'month', toStartOfMonth(day), {period:String} = 'week', toMonday(day), day))
        AS period,
    uniqExact(person) AS users,
    count() AS events,
    events / users AS events_per_user,
    period >= {from:Date} AND {to:Date} >=
        multiIf({period:String} = 'month', toLastDayOfMonth(period), {period:String} = 'week', period + 6, period)
        AS whole
FROM activity
WHERE day BETWEEN {from:Date} AND {to:Date} AND toDate(ts) BETWEEN {from:Date} - 1 AND {to:Date} + 1
GROUP BY period
ORDER BY period
