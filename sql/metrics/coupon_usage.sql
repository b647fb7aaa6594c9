-- title: Use of coupons
-- title_zh: 优惠券使用
-- group: campaigns
-- definition: Orders made with each coupon, by how many users, what was paid and what the coupon took off.
-- definition_zh: 各优惠券带来的订单数、用户数、实付金额与抵扣金额，以及首购用户占比。
-- formula: discount_share = discount / (paid + discount); first_orders: orders that are the first payment of their user
--   ever
-- grain: one row a code
-- parameters:
--   from Date = today - 29: first day, inclusive
--   to Date = today: last day, inclusive
-- example: SELECT * FROM coupon_usage(from = '2026-11-01', to = '2026-11-30')
-- mistakes: Refunds are not taken off. Few first orders mean that a coupon is used by people who would have bought anyway.
-- chart: bar x=code y=orders
WITH first_payment AS
(
    SELECT actor, min(ts) AS first_at FROM payments WHERE toDate(ts) <= {to:Date} + 1 GROUP BY actor
)
SELECT
    c.code AS code,
    count() AS orders,
    uniqExact(c.actor) AS users,
    sum(c.value) AS paid,
    sum(c.discount) AS discount,
    if(paid + discount = 0, NULL, toFloat64(discount) / toFloat64(paid + discount)) AS discount_share,
    countIf(f.first_at = c.ts) AS first_orders
FROM
(
    SELECT code, actor, ts, value, discount FROM coupons
    WHERE day BETWEEN {from:Date} AND {to:Date} AND toDate(ts) BETWEEN {from:Date} - 1 AND {to:Date} + 1
) AS c
LEFT JOIN first_payment AS f ON f.actor = c.actor
GROUP BY c.code
ORDER BY orders DESC, code
