-- one row an experiment and person who met it on the days from to to: since when, the variant met first, the variant or (several)
SELECT
    experiment,
    person,
    min(ts) AS since,
    argMin(exposures.variant, ts) AS first_variant,
    uniqExact(exposures.variant) > 1 AS in_several,
    if(in_several, '(several)', any(exposures.variant)) AS variant
FROM exposures
WHERE day BETWEEN {from:Date} AND {to:Date} AND toDate(ts) BETWEEN {from:Date} - 1 AND {to:Date} + 1
    AND ({experiment:String} = '' OR experiment = {experiment:String})
GROUP BY experiment, person
