-- buyers of the days from to to: recency, frequency, money, their scores 1 to 5 and the named segment
WITH buyers AS
(
    SELECT person, {to:Date} - maxIf(day, kind = 'payment') AS recency_days,
        uniqExactIf(order_id, kind = 'payment') AS orders, sum(amount) AS revenue
    FROM money
    WHERE day BETWEEN {from:Date} AND {to:Date} AND toDate(ts) BETWEEN {from:Date} - 1 AND {to:Date} + 1
    GROUP BY person
    HAVING orders > 0
)
SELECT
    person, recency_days, orders, revenue,
    -- By cut points rather than by rank: users with equal values have equal scores.
    5 - arrayCount(cut -> recency_days > cut, cuts.1) AS recency,
    1 + arrayCount(cut -> orders > cut, cuts.2) AS frequency,
    1 + arrayCount(cut -> toFloat64(revenue) > cut, cuts.3) AS money_score,
    (frequency + money_score) / 2 AS worth,
    multiIf(
        recency >= 4 AND worth >= 4, 'champions',
        recency >= 3 AND worth >= 3, 'loyal',
        recency >= 4, 'promising',
        recency = 3, 'need attention',
        worth >= 4, 'can not lose',
        worth >= 3, 'at risk',
        'hibernating') AS segment
FROM buyers
CROSS JOIN
(
    SELECT (
        quantilesExactInclusive(0.2, 0.4, 0.6, 0.8)(recency_days),
        quantilesExactInclusive(0.2, 0.4, 0.6, 0.8)(orders),
        quantilesExactInclusive(0.2, 0.4, 0.6, 0.8)(toFloat64(revenue))) AS cuts
    FROM buyers
) AS of_all
