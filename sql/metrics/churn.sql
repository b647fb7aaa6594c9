-- title: Churn rate
-- group: retention
-- definition: Of the users who were active in the day, week or month before, how many were not active in this one.
-- formula: churn_rate = users active in the period before and not in this one / users active in the period before
-- grain: one row a period that follows one with users
-- parameters:
--   from Date = today - 89: first day, inclusive
--   to Date = today - 1: last day, inclusive
--   period String = week (one of day, week, month): length of a period
-- example: SELECT * FROM churn(from = '2026-09-01', to = '2026-11-30', period = 'month')
-- mistakes: Of a period that has not ended by `to` (whole = 0) nothing is said (NULL): who is away may still come. Churn of a week says nothing final: who
--   comes back later was counted as gone (user_lifecycle has the resurrected).
-- chart: line x=period y=churn_rate
SELECT
    multiIf({period:String} = 'month', addMonths(before, 1), {period:String} = 'week', before + 7, before + 1) AS period,
    count() AS users_before,
    if(whole, countIf(NOT stayed), NULL) AS churned,
    churned / users_before AS churn_rate,
    multiIf({period:String} = 'month', toLastDayOfMonth(period), {period:String} = 'week', period + 6, period)
        <= {to:Date} AS whole
FROM
(
    SELECT
        groupUniqArray(toDate(multiIf(
            {period:String} = 'month', toStartOfMonth(day), {period:String} = 'week', toMonday(day), day))) AS periods,
        arrayJoin(periods) AS before,
        has(periods, multiIf(
            {period:String} = 'month', addMonths(before, 1), {period:String} = 'week', before + 7, before + 1)) AS stayed
    FROM activity
    -- The period before `from` too: its users are those of the first row.
    WHERE day BETWEEN multiIf({period:String} = 'month', addMonths(toStartOfMonth({from:Date}), -1),
            {period:String} = 'week', toMonday({from:Date}) - 7, {from:Date} - 1) AND {to:Date}
        AND toDate(ts) BETWEEN {from:Date} - 62 AND {to:Date} + 1
    GROUP BY person
)
WHERE period <= {to:Date}
GROUP BY before
ORDER BY period
