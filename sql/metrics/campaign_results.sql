-- title: Results of operations
-- group: campaigns
-- definition: For each operation that runs on a day of the period (a sale, a check-in): who took part, how many of them
--   bought and for how much between its first and last day, whether they came back after it, and the same for the
--   comparison that the operation names - users active in those days without taking part (others), or those who took
--   part, in as many days before (before). Of an operation that is not over, its days up to `until`.
-- formula: conversion = users with a payment / users; revenue: payments minus refunds in those days; returned_rate: of
--   those who took part, who has an event in the 7 days after the end, once these are over; p_value:
--   two-proportion z-test (pooled) of the conversions; extra_revenue = (revenue_per_user -
--   compared_revenue_per_user) * participants; roi = (extra_revenue - cost) / cost
-- grain: one row an operation of the side table campaigns
-- parameters:
--   from Date = today - 29: operations that end on this day or later
--   to Date = today: operations that start on this day or earlier
--   until Date = today - 1: last day of what counts, inclusive: the last one that is over
-- example: SELECT * FROM campaign_results(from = '2026-11-01', to = '2026-11-30', until = '2026-12-07')
-- mistakes: Who takes part chose to: they would have bought more than others without the operation, too. Only an
--   experiment says what it caused. Of an operation that is not over (whole = 0) the days so far are
--   compared with as many; its returned_rate is NULL until 7 days after its end are over. Revenue that was only moved (bought in the sale what would have been bought a week later) counts as extra.
-- chart: bar x=campaign y=conversion,compared_conversion
WITH
    ops AS
    (
        SELECT name, kind, starts, campaigns.ends AS last, least(campaigns.ends, {until:Date}) AS ends, comparison, cost,
            toInt32(ends - starts + 1) AS days
        FROM campaigns
        WHERE starts <= {to:Date} AND campaigns.ends >= {from:Date}
    ),
    -- One row a user: active days, operations taken part in and when, payments. So the events are read once, however
    -- many operations there are.
    people AS
    (
        SELECT a.active_days AS active_days, t.took AS took, m.payments AS payments
        FROM
        (
            SELECT person, groupUniqArray(day) AS active_days
            FROM activity
            WHERE day BETWEEN (SELECT min(starts) FROM ops) AND (SELECT max(ends) + 7 FROM ops)
                AND toDate(ts) BETWEEN (SELECT min(starts) - 1 FROM ops) AND (SELECT max(ends) + 8 FROM ops)
            GROUP BY person
        ) AS a
        LEFT JOIN
        (
            SELECT person, groupUniqArray((participated, day)) AS took
            FROM participations
            WHERE day BETWEEN (SELECT min(starts) FROM ops) AND (SELECT max(ends) FROM ops)
                AND toDate(ts) BETWEEN (SELECT min(starts) - 1 FROM ops) AND (SELECT max(ends) + 1 FROM ops)
            GROUP BY person
        ) AS t ON t.person = a.person
        LEFT JOIN
        (
            SELECT person, groupArray((day, kind = 'payment', amount)) AS payments
            FROM money
            WHERE day BETWEEN (SELECT min(starts - days) FROM ops) AND (SELECT max(ends) FROM ops)
                AND toDate(ts) BETWEEN (SELECT min(starts - days) - 1 FROM ops) AND (SELECT max(ends) + 1 FROM ops)
            GROUP BY person
        ) AS m ON m.person = a.person
    ),
    counted AS
    (
        SELECT
            name,
            part = 'participants' AS is_taking_part,
            count() AS users,
            countIf(arrayExists(p -> p.2, within)) AS buyers,
            toFloat64(sum(arraySum(p -> p.3, within))) AS revenue,
            countIf(arrayExists(d -> d > ends AND d <= ends + 7, active_days)) AS returned
        FROM
        (
            SELECT
                ops.name AS name,
                ops.ends AS ends,
                people.active_days AS active_days,
                arrayExists(t -> t.1 = ops.name AND t.2 BETWEEN ops.starts AND ops.ends, people.took) AS is_in,
                arrayJoin(multiIf(
                    is_in AND ops.comparison = 'before', ['participants', 'before'],
                    is_in, ['participants'],
                    ops.comparison = 'others'
                        AND arrayExists(d -> d BETWEEN ops.starts AND ops.ends, people.active_days), ['others'],
                    []::Array(String))) AS part,
                arrayFilter(p -> if(part = 'before', p.1 >= ops.starts - ops.days AND p.1 < ops.starts,
                    p.1 BETWEEN ops.starts AND ops.ends), people.payments) AS within
            FROM people
            CROSS JOIN ops
        )
        GROUP BY name, is_taking_part
    )
SELECT * EXCEPT pooled FROM
(
SELECT
    ops.name AS campaign,
    ops.kind AS kind,
    ops.starts AS starts,
    ops.last AS ends,
    t.users AS participants,
    t.buyers AS buyers,
    if(t.users = 0, NULL, t.buyers / t.users) AS conversion,
    t.revenue AS revenue,
    if(t.users = 0, NULL, t.revenue / t.users) AS revenue_per_user,
    if(t.users = 0 OR ops.last + 7 > {until:Date}, NULL, t.returned / t.users) AS returned_rate,
    ops.comparison AS comparison,
    t.compared_users AS compared_users,
    if(t.compared_users = 0, NULL, t.compared_buyers / t.compared_users) AS compared_conversion,
    if(t.compared_users = 0, NULL, t.compared_revenue / t.compared_users) AS compared_revenue_per_user,
    (t.buyers + t.compared_buyers) / (t.users + t.compared_users) AS pooled,
    if(t.users = 0 OR t.compared_users = 0 OR pooled IN (0, 1), NULL, erfc(abs(conversion - compared_conversion)
        / sqrt(pooled * (1 - pooled) * (1 / t.users + 1 / t.compared_users)) / sqrt(2))) AS p_value,
    (revenue_per_user - compared_revenue_per_user) * participants AS extra_revenue,
    toFloat64(ops.cost) AS cost,
    if(cost = 0, NULL, (extra_revenue - cost) / cost) AS roi,
    ops.last <= {until:Date} AS whole
FROM ops
LEFT JOIN
(
    SELECT
        name,
        sumIf(counted.users, is_taking_part) AS users,
        sumIf(counted.buyers, is_taking_part) AS buyers,
        sumIf(counted.revenue, is_taking_part) AS revenue,
        sumIf(counted.returned, is_taking_part) AS returned,
        sumIf(counted.users, NOT is_taking_part) AS compared_users,
        sumIf(counted.buyers, NOT is_taking_part) AS compared_buyers,
        sumIf(counted.revenue, NOT is_taking_part) AS compared_revenue
    FROM counted
    GROUP BY name
) AS t ON t.name = ops.name
)
ORDER BY starts, campaign
