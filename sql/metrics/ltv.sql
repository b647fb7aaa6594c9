-- title: Lifetime value by cohort
-- title_zh: 用户生命周期价值（按同期群累计）
-- group: revenue
-- definition: What the users who joined in a day, week or month have paid up to the nth day, week or month after, per user
--   of the cohort.
-- definition_zh: 同一时期加入的用户在第 n 个周期末的累计净收入 / 同期群人数。
-- formula: ltv = payments minus refunds of the cohort's users from joining to the end of period n, up to `to` / users of
--   the cohort, those who never paid too. Period 0 is the one of joining
-- grain: one row a cohort and n, up to the period of `to`
-- parameters:
--   from Date = today - 90: first day of joining, inclusive
--   to Date = today - 1: last day of joining and of payments, inclusive
--   period String = week (one of day, week, month): length of a period
-- example: SELECT * FROM ltv(from = '2026-09-01', to = '2026-11-30', period = 'month')
-- mistakes: This is what was paid, not a forecast. A period that hasn't ended by `to` (whole = 0) has a revenue so far
--   and no ltv (NULL). Payments before joining (as a visitor) don't count.
-- chart: line x=n y=ltv series=cohort
WITH cohorts AS MATERIALIZED
(
    SELECT
        person, joined,
        toDate(multiIf({period:String} = 'month', toStartOfMonth(assumeNotNull(joined_day)),
            {period:String} = 'week', toMonday(assumeNotNull(joined_day)), assumeNotNull(joined_day))) AS cohort
    FROM users
    WHERE joined_day BETWEEN {from:Date} AND {to:Date}
)
SELECT
    c.cohort AS cohort,
    toUInt32(c.n) AS n,
    c.users AS users,
    sum(p.amount) OVER (PARTITION BY cohort ORDER BY n) AS revenue,
    if(whole, toFloat64(revenue) / users, NULL) AS ltv,
    multiIf({period:String} = 'month', addMonths(cohort, toInt32(n + 1)),
        {period:String} = 'week', cohort + 7 * (n + 1), cohort + n + 1) - 1 <= {to:Date} AS whole
FROM
(
    SELECT cohort, count() AS users,
        arrayJoin(range(toUInt64(dateDiff(multiIf({period:String} = 'month', 'month', 'day'), cohort, {to:Date})
            / if({period:String} = 'week', 7, 1)) + 1)) AS n
    FROM cohorts
    GROUP BY cohort
) AS c
LEFT JOIN
(
    SELECT
        cohort,
        toUInt64(dateDiff(multiIf({period:String} = 'month', 'month', 'day'), cohort, m.day)
            / if({period:String} = 'week', 7, 1)) AS n,
        sum(m.amount) AS amount
    FROM money AS m
    INNER JOIN cohorts ON cohorts.person = m.person
    WHERE m.day BETWEEN {from:Date} AND {to:Date} AND toDate(m.ts) BETWEEN {from:Date} - 1 AND {to:Date} + 1
        AND m.ts >= cohorts.joined
    GROUP BY cohort, n
) AS p ON p.cohort = c.cohort AND p.n = c.n
ORDER BY cohort, n
SETTINGS enable_materialized_cte = 1
