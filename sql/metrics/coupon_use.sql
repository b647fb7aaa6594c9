-- title: Coupons
-- group: revenue
-- definition: How often each coupon was used in the period, by how many users, and what it took off.
-- formula: uses = events with the code; discount = sum of the plan's discount field; share = uses / all uses
-- grain: one row a code
-- parameters:
--   from Date = today - 29: first day, inclusive
--   to Date = today: last day, inclusive
-- example: SELECT * FROM coupon_use(from = '2026-11-01', to = '2026-11-30')
-- mistakes: value is that of the events that carry the code. Who uses a coupon might have bought without it: an
--   experiment tells.
-- chart: bar x=code y=uses
SELECT
    code,
    count() AS uses,
    uniqExact(person) AS users,
    uses / sum(uses) OVER () AS share,
    sum(discount) AS discount,
    sum(coupons.value) AS value
FROM coupons
WHERE day BETWEEN {from:Date} AND {to:Date} AND toDate(ts) BETWEEN {from:Date} - 1 AND {to:Date} + 1
GROUP BY code
ORDER BY uses DESC, code
