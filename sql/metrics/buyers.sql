-- title: Buyers
-- group: revenue
-- definition: Every buyer of the period in one row: first and last purchase, orders, days with a purchase, what was paid and
--   given back, and the usual time between orders.
-- formula: orders = distinct order_id of payments; repeat_days = days with a payment after the first; recency_days = last -
--   first purchase day; age_days = `to` - first purchase day; revenue = payments + refunds (negative)
-- grain: one row a buyer, those of most revenue first
-- parameters:
--   from Date = today - 29: first day, inclusive
--   to Date = today: last day, inclusive
-- example: SELECT * FROM buyers(from = '2026-11-01', to = '2026-11-30')
-- mistakes: recency_days is counted from the first purchase, as models of repeat buying need it; rfm counts it back from
--   `to`. Purchases before `from` don't count: begin with the first event for lifetimes.
-- chart: table
SELECT
    m.person AS actor,
    minIf(day, kind = 'payment') AS first_day,
    maxIf(day, kind = 'payment') AS last_day,
    uniqExactIf(order_id, kind = 'payment') AS orders,
    uniqExactIf(day, kind = 'payment') - 1 AS repeat_days,
    last_day - first_day AS recency_days,
    {to:Date} - first_day AS age_days,
    sumIf(amount, kind = 'payment') AS gmv,
    sumIf(amount, kind = 'refund') AS refunds,
    gmv + refunds AS revenue,
    toFloat64(gmv) / orders AS average_order,
    if(orders = 1, NULL, recency_days / (orders - 1)) AS days_between_orders
FROM money AS m
WHERE day BETWEEN {from:Date} AND {to:Date} AND toDate(ts) BETWEEN {from:Date} - 1 AND {to:Date} + 1
GROUP BY m.person
HAVING orders > 0
ORDER BY revenue DESC, actor
