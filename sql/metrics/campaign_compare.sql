-- title: Operations against the one before
-- group: campaigns
-- definition: Each operation that runs on a day of the period beside the last one of its kind that was over when it began:
--   who took part, how many of them bought and for how much, and whether they came back. Of an operation that is not over
--   its days up to `until` beside as many of the other.
-- formula: conversion = users with a payment / users; revenue_per_user: payments minus refunds of those days / users;
--   returned_rate: who has an event in the 7 days after the end, once these are over; p_value: two-proportion z-test
--   (pooled) of the conversions, as if nobody had taken part in both
-- grain: one row an operation of the side table campaigns that has one of its kind before it
-- parameters:
--   from Date = today - 29: operations that end on this day or later
--   to Date = today: operations that start on this day or earlier
--   until Date = today - 1: last day of what counts, inclusive: the last one that is over
-- example: SELECT * FROM campaign_compare(from = '2026-11-01', to = '2026-11-30', until = '2026-12-07')
-- mistakes: Two operations differ in more than themselves: the season, the offer, who was told. The days from the start
--   are compared, so a weekend may stand beside working days; days is how many of the operation count, before_days how
--   many of the one before. What campaign_results says of an operation alone is not said again here.
-- chart: bar x=campaign y=conversion,before_conversion
WITH
    pairs AS
    (
        SELECT a.name AS name, a.kind AS kind, a.starts AS starts, a.ends AS ends,
            argMax((b.name, b.starts, b.ends), (b.ends, b.name)) AS other
        FROM campaigns AS a
        INNER JOIN campaigns AS b ON b.kind = a.kind
        WHERE b.ends < a.starts AND a.starts <= least({to:Date}, {until:Date}) AND a.ends >= {from:Date}
        GROUP BY name, kind, starts, ends
    ),
    -- Of each pair two sides: the operation, and the one before it. A side is its place in these lists, from 1.
    (SELECT groupArrayArray([
        (name, starts, least(ends, {until:Date}), ends),
        (other.1, other.2, if(ends <= {until:Date}, other.3, least(other.3, other.2 + toInt32({until:Date} - starts))), other.3)])
     FROM pairs) AS sides,
    (SELECT groupArray((name, kind, starts, ends, other.1)) FROM pairs) AS all_pairs,
    arrayMap(s -> s.2, sides) AS firsts,
    arrayMap(s -> s.3, sides) AS lasts,
    -- Days on which they ran, and of the week after them.
    arrayDistinct(arrayFlatten(arrayMap(s -> arrayMap(n -> s.2 + n, range(toUInt32(s.3 - s.2 + 1))), sides))) AS on_days,
    arrayDistinct(arrayFlatten(arrayMap(s -> arrayMap(n -> s.3 + 1 + n, range(7)), sides))) AS after_days
SELECT * EXCEPT pooled FROM
(
SELECT
    pair.1 AS campaign,
    pair.2 AS kind,
    pair.3 AS starts,
    toUInt16(lasts[2 * k - 1] - pair.3 + 1) AS days,
    now.1 AS participants,
    now.2 AS buyers,
    if(now.1 = 0, NULL, now.2 / now.1) AS conversion,
    if(now.1 = 0, NULL, now.3 / now.1) AS revenue_per_user,
    if(now.1 = 0 OR pair.4 + 7 > {until:Date}, NULL, now.4 / now.1) AS returned_rate,
    pair.5 AS before,
    toUInt16(lasts[2 * k] - firsts[2 * k] + 1) AS before_days,
    then.1 AS before_participants,
    then.2 AS before_buyers,
    if(then.1 = 0, NULL, then.2 / then.1) AS before_conversion,
    if(then.1 = 0, NULL, then.3 / then.1) AS before_revenue_per_user,
    if(then.1 = 0 OR lasts[2 * k] < (sides[2 * k]).4 OR lasts[2 * k] + 7 > {until:Date}, NULL, then.4 / then.1)
        AS before_returned_rate,
    (now.2 + then.2) / (now.1 + then.1) AS pooled,
    if(now.1 = 0 OR then.1 = 0 OR pooled IN (0, 1), NULL, erfc(abs(conversion - before_conversion)
        / sqrt(pooled * (1 - pooled) * (1 / now.1 + 1 / then.1)) / sqrt(2))) AS p_value,
    pair.4 <= {until:Date} AS whole
FROM
(
    SELECT arrayJoin(arrayEnumerate(all_pairs)) AS k, all_pairs[k] AS pair,
        arrayElement(counted, toUInt32(2 * k - 1)) AS now, arrayElement(counted, toUInt32(2 * k)) AS then
    FROM
    (
        SELECT groupArray((side, (users, buyers, revenue, returned))) AS found,
            arrayMap(s -> (arrayFirst(f -> f.1 = s, found)).2, arrayEnumerate(sides)) AS counted
        FROM
        (
            SELECT
                t.side AS side,
                count() AS users,
                countIf(arrayExists(p -> p.2 AND p.1 BETWEEN firsts[t.side] AND lasts[t.side], m.payments)) AS buyers,
                toFloat64(sum(arraySum(p -> if(p.1 BETWEEN firsts[t.side] AND lasts[t.side], p.3, 0), m.payments))) AS revenue,
                countIf(arrayExists(d -> d > lasts[t.side] AND d <= lasts[t.side] + 7 AND d <= {until:Date}, a.active_days))
                    AS returned
            FROM
            (
                SELECT DISTINCT person, arrayJoin(arrayFilter(
                    (n, s) -> s.1 = participated AND day BETWEEN s.2 AND s.3, arrayEnumerate(sides), sides)) AS side
                FROM participations
                WHERE toDate(ts) IN (SELECT arrayJoin(arrayFlatten(arrayMap(d -> [d - 1, d, d + 1], on_days))))
            ) AS t
            LEFT ANY JOIN
            (
                SELECT person, groupArray((day, kind = 'payment', amount)) AS payments
                FROM money
                WHERE toDate(ts) IN (SELECT arrayJoin(arrayFlatten(arrayMap(d -> [d - 1, d, d + 1], on_days))))
                GROUP BY person
            ) AS m ON m.person = t.person
            LEFT ANY JOIN
            (
                SELECT person, groupUniqArray(day) AS active_days
                FROM activity
                WHERE toDate(ts) IN (SELECT arrayJoin(arrayFlatten(arrayMap(d -> [d - 1, d, d + 1], after_days))))
                GROUP BY person
            ) AS a ON a.person = t.person
            GROUP BY side
        )
    )
)
)
ORDER BY starts, campaign
