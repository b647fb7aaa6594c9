-- title: Lifetime value by cohort
-- group: revenue
-- definition: What the users who joined in a day, week or month have paid up to the nth day, week or month after, per user
--   of the cohort.
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
SELECT
    cohort,
    toUInt32(number) AS n,
    users,
    sum(paid.2[indexOf(paid.1, number)]) OVER (PARTITION BY cohort ORDER BY number) AS revenue,
    if(whole, toFloat64(revenue) / users, NULL) AS ltv,
    multiIf({period:String} = 'month', addMonths(cohort, toInt32(n + 1)),
        {period:String} = 'week', cohort + 7 * (n + 1), cohort + n + 1) - 1 <= {to:Date} AS whole
FROM
(
    -- Of each cohort: how many there are, and what they paid in each period.
    SELECT
        cohort,
        count() AS users,
        sumMap(arrayMap(p -> p.1, own), arrayMap(p -> p.2, own)) AS paid,
        arrayJoin(range(toUInt64(dateDiff(multiIf({period:String} = 'month', 'month', 'day'), cohort, {to:Date})
            / if({period:String} = 'week', 7, 1)) + 1)) AS number
    FROM
    (
        SELECT
            toDate(multiIf({period:String} = 'month', toStartOfMonth(assumeNotNull(c.joined_day)),
                {period:String} = 'week', toMonday(assumeNotNull(c.joined_day)), assumeNotNull(c.joined_day))) AS cohort,
            arrayMap(
                p -> (toUInt64(dateDiff(multiIf({period:String} = 'month', 'month', 'day'), cohort, p.2)
                    / if({period:String} = 'week', 7, 1)), toDecimal128(p.3, 6)),
                arrayFilter(p -> p.1 >= assumeNotNull(c.joined), m.payments)) AS own
        FROM (SELECT person, joined, joined_day FROM users WHERE joined_day BETWEEN {from:Date} AND {to:Date}) AS c
        LEFT JOIN
        (
            SELECT person, groupArray((ts, day, amount)) AS payments
            FROM money
            WHERE day BETWEEN {from:Date} AND {to:Date} AND toDate(ts) BETWEEN {from:Date} - 1 AND {to:Date} + 1
            GROUP BY person
        ) AS m ON m.person = c.person
    )
    GROUP BY cohort
)
ORDER BY cohort, n
