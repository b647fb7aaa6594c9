-- title: Payments by dimension
-- group: revenue
-- definition: Payments of the period by platform, channel, country or any other field or property of the paying event.
-- formula: gmv = sum of payments whose event has the value; share = gmv / all payments; average_order = gmv / orders
-- grain: one row a value
-- parameters:
--   from Date = today - 29: first day, inclusive
--   to Date = today: last day, inclusive
--   dimension String = platform: a field such as platform or channel, or properties.NAME
-- example: SELECT * FROM revenue_by(from = '2026-11-01', to = '2026-11-30', dimension = 'platform')
-- mistakes: Refunds are not taken off: their events often lack the dimension. The channel here is that of the payment;
--   whom a channel brought is in acquisition_by_channel.
-- chart: bar x=value y=gmv
SELECT
    by AS value,
    sum(amount) AS gmv,
    if(sum(gmv) OVER () = 0, NULL, toFloat64(gmv) / toFloat64(sum(gmv) OVER ())) AS share,
    uniqExact(order_id) AS orders,
    uniqExact(person) AS buyers,
    toFloat64(gmv) / orders AS average_order
FROM {database}.payments_by(dimension = {dimension:String})
WHERE day BETWEEN {from:Date} AND {to:Date} AND toDate(ts) BETWEEN {from:Date} - 1 AND {to:Date} + 1
GROUP BY value
ORDER BY gmv DESC, value
