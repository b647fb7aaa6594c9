-- title: Allocation of experiments
-- group: experiments
-- definition: How many users met each variant against how many should have, and whether chance explains the difference
--   (sample-ratio mismatch); and how many of them met another variant as well.
-- formula: chi_squared = sum over the variants of (users - expected)^2 / expected; p_value: upper tail of the chi-squared
--   distribution with variants - 1 degrees of freedom; mismatch: p_value < 0.001. Users of several variants count in
--   the variant that they met first
-- grain: one row an experiment and variant
-- parameters:
--   from Date = today - 29: first day of exposures, inclusive
--   to Date = today: last day, inclusive
--   experiment String = '': its name; empty: all
--   shares Array(Float64) = []: the shares that were meant, in the order of the variants' names; empty: equal ones
-- example: SELECT * FROM experiment_allocation(from = '2026-11-01', to = '2026-11-30', experiment = '', shares = [])
-- mistakes: A mismatch means that something decides who is counted besides chance (a variant that crashes before its
--   exposure is sent): don't correct the figures, find the reason. Exposure must be sent by all variants at the same place.
-- chart: bar x=variant y=users,expected series=experiment
WITH
    met AS
    (
        SELECT experiment, person, argMin(variant, ts) AS first_variant, uniqExact(variant) > 1 AS in_several
        FROM exposures
        WHERE day BETWEEN {from:Date} AND {to:Date} AND toDate(ts) BETWEEN {from:Date} - 1 AND {to:Date} + 1
            AND ({experiment:String} = '' OR experiment = {experiment:String})
        GROUP BY experiment, person
    ),
    sizes AS
    (
        SELECT experiment, first_variant AS variant, count() AS n, countIf(in_several) AS several
        FROM met
        GROUP BY experiment, variant
    ),
    planned AS
    (
        SELECT
            *,
            row_number() OVER (PARTITION BY experiment ORDER BY variant) AS place,
            count() OVER (PARTITION BY experiment) AS variants,
            sum(n) OVER (PARTITION BY experiment) AS total,
            throwIf(notEmpty({shares:Array(Float64)}) AND length({shares:Array(Float64)}) != variants,
                'shares: one for each variant of the experiment, which must be named') AS wrong,
            if(empty({shares:Array(Float64)}), 1 / variants,
                {shares:Array(Float64)}[place] / arraySum({shares:Array(Float64)})) + wrong AS share
        FROM sizes
    ),
    tested AS
    (
        SELECT *, sum(pow(n - share * total, 2) / (share * total)) OVER (PARTITION BY experiment) AS statistic
        FROM planned
    )
SELECT
    experiment,
    variant,
    n AS users,
    share * total AS expected,
    n / total AS share_seen,
    several AS also_in_another,
    if(variants = 1, NULL, statistic) AS chi_squared,
    -- The upper tail in closed form: of even degrees of freedom a sum, of odd ones erfc and a sum.
    if(variants = 1, NULL, least(1, if(variants % 2 = 1,
        exp(-statistic / 2) * arraySum(i -> pow(statistic / 2, i) / tgamma(i + 1), range(intDiv(variants - 1, 2))),
        erfc(sqrt(statistic / 2)) + exp(-statistic / 2)
            * arraySum(i -> pow(statistic / 2, i - 0.5) / tgamma(i + 0.5), range(1, intDiv(variants, 2)))
    ))) AS p_value,
    p_value < 0.001 AS mismatch
FROM tested
ORDER BY experiment, variant
