-- title: Retention by cohort
-- group: retention
-- definition: Of the users who joined on a day, in a week or month: how many were active in the nth day, week or month
--   after (classic), and how many in the nth or any later one (rolling).
-- formula: classic_rate = users with an event in period n after that of joining / users of the cohort; rolling_rate =
--   users with an event in period n or later, up to `to` / users. Period 0 is the one of joining
-- grain: one row a cohort and n, up to the period of `to`
-- parameters:
--   from Date = today - 30: first day of joining, inclusive
--   to Date = today - 1: last day of joining and of activity, inclusive
--   period String = day (one of day, week, month): length of a period
-- example: SELECT * FROM retention(from = '2026-11-01', to = '2026-11-30', period = 'day')
-- mistakes: Rolling retention falls as `to` is moved to an earlier day, and its last n equals the classic one: compare
--   cohorts at the same distance from `to`. A period that has not ended by `to` (whole = 0)
--   has no rates (NULL). Weeks begin on Monday, so
--   week 1 of somebody who joined on Sunday begins the next day; day 7 does not have this.
-- chart: heatmap x=n y=cohort series=classic_rate
SELECT
    cohort,
    n,
    users,
    active.2[indexOf(active.1, n)] AS classic,
    if(whole, classic / users, NULL) AS classic_rate,
    sum(lasts.2[indexOf(lasts.1, n)]) OVER (PARTITION BY cohort ORDER BY n DESC) AS rolling,
    if(whole, rolling / users, NULL) AS rolling_rate,
    multiIf({period:String} = 'month', addMonths(cohort, toInt32(n + 1)),
        {period:String} = 'week', cohort + 7 * (n + 1), cohort + n + 1) - 1 <= {to:Date} AS whole
FROM
(
    -- Of each cohort: how many there are, how many were active in each period, and in each for the last time.
    SELECT
        cohort,
        count() AS users,
        sumMap(periods, arrayMap(p -> toUInt64(1), periods)) AS active,
        sumMap(if(empty(periods), [], [arrayMax(periods)]), if(empty(periods), [], [toUInt64(1)])) AS lasts,
        arrayJoin(range(toUInt32(dateDiff(if({period:String} = 'month', 'month', 'day'), cohort, {to:Date})
            / if({period:String} = 'week', 7, 1)) + 1)) AS n
    FROM
    (
        SELECT
            toDate(multiIf({period:String} = 'month', toStartOfMonth(assumeNotNull(joined_day)),
                {period:String} = 'week', toMonday(assumeNotNull(joined_day)), assumeNotNull(joined_day))) AS cohort,
            arrayDistinct(arrayMap(
                d -> toUInt32(dateDiff(if({period:String} = 'month', 'month', 'day'), cohort, d)
                    / if({period:String} = 'week', 7, 1)),
                arrayFilter(d -> d >= joined_day AND d <= {to:Date}, active_days))) AS periods
        FROM users
        WHERE joined_day BETWEEN {from:Date} AND {to:Date}
    )
    GROUP BY cohort
)
ORDER BY cohort, n
