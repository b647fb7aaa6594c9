-- one row a person as it stood at the end of the day given: last day, days since, orders, net revenue, lifecycle segment
SELECT
    *,
    (SELECT dormant_days FROM thresholds) AS dormant_after,
    multiIf(
        days_away > dormant_after, 'churned',
        days_away > (SELECT at_risk_days FROM thresholds), 'at_risk',
        {on:Date} - first_day < (SELECT new_days FROM thresholds), 'new',
        revenue >= (SELECT high_value FROM thresholds), 'high_value',
        'active') AS segment
FROM
(
    SELECT
        u.person AS person, first_day, last_day, {on:Date} - last_day AS days_away, events, days AS active_days, channel,
        m.orders AS orders, m.revenue AS revenue, if(m.orders = 0, NULL, m.last_paid) AS last_paid_day
    FROM
    (
        SELECT person, min(day) AS first_day, max(day) AS last_day, count() AS events, uniqExact(day) AS days,
            argMinIf(channel, ts, channel != '') AS channel
        FROM activity
        WHERE day <= {on:Date} AND toDate(ts) <= {on:Date} + 1
        GROUP BY person
    ) AS u
    LEFT ANY JOIN
    (
        SELECT person, uniqExactIf(order_id, kind = 'payment') AS orders, sum(amount) AS revenue,
            maxIf(day, kind = 'payment') AS last_paid
        FROM money
        WHERE day <= {on:Date} AND toDate(ts) <= {on:Date} + 1
        GROUP BY person
    ) AS m ON m.person = u.person
)
