-- title: Revenue
-- group: revenue
-- definition: What was paid and given back in a day, week or month; revenue per active and per paying user; which share of
--   the active users paid; what an order was worth.
-- formula: gmv = sum of payments; refunds as they were given back, negative; revenue = gmv + refunds; orders = distinct
--   order_id of payments; arpu = revenue / active users; arppu = revenue / buyers; paying_rate = buyers / active users;
--   average_order = gmv / orders
-- grain: one row a period, periods without events too
-- parameters:
--   from Date = today - 29: first day, inclusive
--   to Date = today: last day, inclusive
--   period String = day (one of day, week, month): length of a period
-- example: SELECT * FROM revenue(from = '2026-11-01', to = '2026-11-30', period = 'day')
-- mistakes: A refund counts on its own day, not on that of the order: a day can be negative. Active users of days can't be
--   added up, so the ARPU of a month is not the mean of its days. Periods that from or to cut are short (whole = 0).
-- chart: line x=period y=gmv,revenue
SELECT
    p.at AS period,
    m.gmv AS gmv,
    m.refunded AS refunds,
    gmv + refunds AS revenue,
    m.orders AS orders,
    m.buyers AS buyers,
    a.users AS active_users,
    if(active_users = 0, NULL, toFloat64(revenue) / active_users) AS arpu,
    if(buyers = 0, NULL, toFloat64(revenue) / buyers) AS arppu,
    if(active_users = 0, NULL, buyers / active_users) AS paying_rate,
    if(orders = 0, NULL, toFloat64(gmv) / orders) AS average_order,
    p.at >= {from:Date} AND p.until <= {to:Date} AS whole
FROM
(
    SELECT DISTINCT
        toDate(multiIf({period:String} = 'month', toStartOfMonth(day), {period:String} = 'week', toMonday(day), day)) AS at,
        multiIf({period:String} = 'month', toLastDayOfMonth(at), {period:String} = 'week', at + 6, at) AS until
    FROM (SELECT toDate(arrayJoin(range(toUInt32({from:Date}), toUInt32({to:Date}) + 1))) AS day)
) AS p
LEFT JOIN
(
    SELECT
        toDate(multiIf({period:String} = 'month', toStartOfMonth(day), {period:String} = 'week', toMonday(day), day)) AS at,
        uniqExact(person) AS users
    FROM activity
    WHERE day BETWEEN {from:Date} AND {to:Date} AND toDate(ts) BETWEEN {from:Date} - 1 AND {to:Date} + 1
    GROUP BY at
) AS a ON a.at = p.at
LEFT JOIN
(
    SELECT
        toDate(multiIf({period:String} = 'month', toStartOfMonth(day), {period:String} = 'week', toMonday(day), day)) AS at,
        sumIf(amount, kind = 'payment') AS gmv,
        sumIf(amount, kind = 'refund') AS refunded,
        uniqExactIf(order_id, kind = 'payment') AS orders,
        uniqExactIf(person, kind = 'payment') AS buyers
    FROM money
    WHERE day BETWEEN {from:Date} AND {to:Date} AND toDate(ts) BETWEEN {from:Date} - 1 AND {to:Date} + 1
    GROUP BY at
) AS m ON m.at = p.at
ORDER BY period
