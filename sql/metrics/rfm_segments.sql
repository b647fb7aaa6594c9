-- title: RFM segments
-- group: segments
-- definition: How many buyers of the period are champions, loyal, promising, ..., and what they brought.
-- formula: as in rfm; share = buyers of the segment / all buyers
-- grain: one row a segment that has buyers
-- parameters:
--   from Date = today - 364: first day, inclusive
--   to Date = today: last day, inclusive; recency is counted from it
-- example: SELECT * FROM rfm_segments(from = '2025-12-01', to = '2026-11-30')
-- mistakes: See rfm. Segments of one day and another are not of the same users: follow the users, not the names.
-- chart: bar x=segment y=users
SELECT
    segment,
    count() AS users,
    users / sum(users) OVER () AS share,
    sum(r.revenue) AS revenue,
    avg(recency_days) AS mean_recency_days,
    avg(r.orders) AS mean_orders
FROM {database}.rfm_between(from = {from:Date}, to = {to:Date}) AS r
GROUP BY segment
ORDER BY users DESC, segment
