-- title: Repeat purchases
-- group: revenue
-- definition: Of the buyers of the period, how many ordered more than once in it, how many had bought before it, and how
--   many days lie between an order and the next.
-- formula: repeat_rate = buyers with 2 or more distinct orders in the period / buyers. returning_rate = buyers with a
--   payment before the period / buyers. median_days: between the first payments of consecutive orders in the period
-- grain: one row
-- parameters:
--   from Date = today - 30: first day, inclusive
--   to Date = today - 1: last day, inclusive
-- example: SELECT * FROM repeat_purchase(from = '2026-11-01', to = '2026-11-30')
-- mistakes: A longer period has a higher rate: compare periods of one length. Refunded orders count as orders.
-- chart: table
SELECT
    count() AS buyers,
    countIf(n >= 2) AS repeat_buyers,
    countIf(before) AS returning_buyers,
    if(buyers = 0, NULL, repeat_buyers / buyers) AS repeat_rate,
    if(buyers = 0, NULL, returning_buyers / buyers) AS returning_rate,
    if(buyers = 0, NULL, sum(n) / buyers) AS orders_per_buyer,
    if(repeat_buyers = 0, NULL, quantileExactInclusiveArrayOrNull(0.5)(gaps)) AS median_days_between
FROM
(
    SELECT
        countIf(in_period) AS n,
        countIf(NOT in_period) > 0 AS before,
        arrayMap(ms -> ms / 86400000, arrayPopFront(arrayDifference(
            arraySort(groupArrayIf(toUnixTimestamp64Milli(at), in_period))))) AS gaps
    FROM
    (
        SELECT person, order_id, min(ts) AS at, min(day) >= {from:Date} AS in_period
        FROM payments
        WHERE day <= {to:Date} AND toDate(ts) <= {to:Date} + 1
        GROUP BY person, order_id
    )
    GROUP BY person
    HAVING n > 0
)
