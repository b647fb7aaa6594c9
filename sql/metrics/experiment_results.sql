-- title: Results of experiments
-- group: experiments
-- definition: For each variant: users that met it, how many of them reached the goal afterwards, and what they paid on
--   average; against the control, with tests and intervals. Users who met several variants are a row of their own,
--   (several), and in no variant.
-- formula: conversion = users who reached the goal after their first exposure / users. difference = conversion - that of
--   the control; z: score test of two proportions (pooled z-test); interval: 95 %, the differences that this test does not
--   reject (Mee 1984; restricted estimate in the closed form of Farrington and Manning 1990), so it leaves out 0 exactly
--   where p_value < 0.05. too_few: fewer than 5 users are expected to convert, or not to, in one of the two. mde: smallest difference found with
--   80 % power at 5 %: (1.96 + 0.84) * sqrt(p (1 - p) (1/n + 1/n of the control)), p of the control. value: payments minus
--   refunds (the goal's value, if one is given) after the first exposure, per user; t: Welch's t-test
-- grain: one row an experiment and variant
-- parameters:
--   from Date = today - 29: first day of exposures, inclusive
--   to Date = today: last day of exposures and goals, inclusive
--   experiment String = '': its name; empty: all
--   goal String = '': the event that is the goal; empty: a payment
--   control String = control: name of the variant that others are compared with
-- example: SELECT * FROM experiment_results(from = '2026-11-01', to = '2026-11-30', experiment = '', goal = '', control = 'control')
-- mistakes: Where too_few is 1, neither p_value nor interval is to be relied on. Looking every day until p is below 0.05 finds effects that aren't there: set the end before the start. Of twenty
--   comparisons one is below 0.05 by chance. Look at experiment_allocation first: if the shares are wrong, so is this.
--   Begin on the first day of the experiment; who met it before is taken for new.
-- chart: bar x=variant y=conversion series=experiment
WITH
    met AS
    (
        SELECT
            experiment,
            person,
            min(ts) AS since,
            if(uniqExact(variant) > 1, '(several)', any(variant)) AS variant
        FROM exposures
        WHERE day BETWEEN {from:Date} AND {to:Date} AND toDate(ts) BETWEEN {from:Date} - 1 AND {to:Date} + 1
            AND ({experiment:String} = '' OR experiment = {experiment:String})
        GROUP BY experiment, person
    ),
    goals AS
    (
        SELECT person, groupArray((ts, reached, amount)) AS moments
        FROM
        (
            SELECT person, ts, kind = 'payment' AS reached, amount
            FROM money
            WHERE {goal:String} = '' AND day BETWEEN {from:Date} AND {to:Date}
                AND toDate(ts) BETWEEN {from:Date} - 1 AND {to:Date} + 1
            UNION ALL
            SELECT person, ts, true AS reached, value AS amount
            FROM activity
            WHERE {goal:String} != '' AND event = {goal:String} AND day BETWEEN {from:Date} AND {to:Date}
                AND toDate(ts) BETWEEN {from:Date} - 1 AND {to:Date} + 1
        )
        GROUP BY person
    ),
    outcomes AS
    (
        SELECT
            met.experiment AS experiment,
            met.variant AS variant,
            arrayFilter(m -> m.1 >= met.since, goals.moments) AS after,
            arrayExists(m -> m.2, after) AS converted,
            toFloat64(arraySum(m -> m.3, after)) AS amount
        FROM met
        LEFT JOIN goals ON goals.person = met.person
    ),
    -- Each variant beside the control of its experiment.
    beside AS
    (
        SELECT
            *,
            anyIf(n, variant = {control:String}) OVER same AS control_n,
            anyIf(k, variant = {control:String}) OVER same AS control_k,
            anyIf(mean, variant = {control:String}) OVER same AS control_mean,
            anyIf(variance, variant = {control:String}) OVER same AS control_variance,
            anyIf(amounts, variant = {control:String}) OVER same AS control_amounts,
            variant NOT IN ('(several)', {control:String}) AND control_n > 0 AS is_compared,
            -- Where everybody has the same value ClickHouse's test is an error.
            is_compared AND n > 1 AND control_n > 1 AND variance + control_variance > 0 AS is_tested
        FROM
        (
            SELECT experiment, variant, count() AS n, countIf(converted) AS k, avg(amount) AS mean,
                varSamp(amount) AS variance, groupArray(amount) AS amounts
            FROM outcomes
            GROUP BY experiment, variant
        )
        WINDOW same AS (PARTITION BY experiment)
    )
SELECT
    experiment,
    variant,
    n AS users,
    k AS converted,
    k / n AS conversion,
    if(is_compared, conversion - control_k / control_n, NULL) AS difference,
    if(is_compared, limits[1], NULL) AS difference_low,
    if(is_compared, limits[2], NULL) AS difference_high,
    if(pooled_error > 0, difference / pooled_error, NULL) AS z,
    erfc(abs(z) / sqrt(2)) AS p_value,
    if(is_compared, least(pool, 1 - pool) * least(n, control_n) < 5, NULL) AS too_few,
    if(is_compared AND control_k > 0 AND control_k < control_n, (1.959963985 + 0.841621234)
        * sqrt(control_k / control_n * (1 - control_k / control_n) * (1 / n + 1 / control_n)), NULL) AS mde,
    mean AS mean_value,
    if(is_compared, mean - control_mean, NULL) AS value_difference,
    if(is_tested, welch.3, NULL) AS value_difference_low,
    if(is_tested, welch.4, NULL) AS value_difference_high,
    if(is_tested, welch.1, NULL) AS t,
    if(is_tested, welch.2, NULL) AS t_p_value
FROM
(
    SELECT
        *,
        k / n AS p,
        if(control_n > 0, control_k / control_n, 0) AS q,
        if(control_n > 0, control_n / n, 1) AS theta,
        -- The ends of the interval by halving: from the difference seen towards -1 and 1, where the score is 1.96. Of each
        -- difference `d` that is tried, the shares that fit it best (the root of a cubic) give the standard error.
        arrayMap(
            far -> arrayFold(
                (ends, i) -> arrayMap(
                    (d, a, b, c) -> arrayMap(
                        (v, u) -> arrayMap(
                            r -> if(pow(d - (p - q), 2) > 3.841458821
                                    * (greatest(r * (1 - r), 0) / n + greatest((r - d) * (1 - r + d), 0) / greatest(control_n, 1)),
                                (d, ends.2), (ends.1, d)),
                            [2 * u * cos((pi() + acos(if(u = 0, 0, greatest(-1, least(1, v / pow(u, 3)))))) / 3) - b / (3 * a)]
                        )[1],
                        [pow(b / (3 * a), 3) - b * c / (6 * a * a) - p * d * (1 + d) / (2 * a)],
                        [if(pow(b / (3 * a), 3) - b * c / (6 * a * a) - p * d * (1 + d) / (2 * a) < 0, -1, 1)
                            * sqrt(greatest(pow(b / (3 * a), 2) - c / (3 * a), 0))]
                    )[1],
                    [(ends.1 + ends.2) / 2],
                    [1 + theta],
                    [-(1 + theta + p + theta * q + (ends.1 + ends.2) / 2 * (theta + 2))],
                    [pow((ends.1 + ends.2) / 2, 2) + (ends.1 + ends.2) / 2 * (2 * p + theta + 1) + p + theta * q]
                )[1],
                range(40), (toFloat64(far), p - q)).2,
            [-1, 1]) AS limits,
        (k + control_k) / (n + control_n) AS pool,
        sqrt(pool * (1 - pool) * (1 / n + 1 / control_n)) AS pooled_error,
        arrayReduce('welchTTest(0.95)',
            if(is_tested, arrayConcat(amounts, control_amounts), [0., 1., 0., 1.]),
            if(is_tested, arrayConcat(arrayMap(a -> 0, amounts), arrayMap(a -> 1, control_amounts)), [0, 0, 1, 1])
        ) AS welch
    FROM beside
)
ORDER BY experiment, variant = '(several)', variant != {control:String}, variant
