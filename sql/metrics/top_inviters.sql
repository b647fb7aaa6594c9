-- title: Who brings most users
-- group: campaigns
-- definition: The users whose invitations were accepted most often in the period, and what those they brought have paid.
-- formula: brought: users whose first acceptance in the period names the inviter (or an invite_id of the inviter);
--   revenue: payments minus refunds of those users, from their acceptance until the last day
-- grain: one row an inviter
-- parameters:
--   from Date = today - 29: first day of acceptances, inclusive
--   to Date = today: last day, inclusive
--   limit UInt32 = 20: so many inviters
-- example: SELECT * FROM top_inviters(from = '2026-11-01', to = '2026-11-30', limit = 20)
-- mistakes: Very many users brought by one are as often abuse of a bonus as enthusiasm: look at buyers and revenue.
-- chart: bar x=inviter y=brought
WITH
    edges AS (SELECT * FROM {database}.invited(from = {from:Date}, to = {to:Date})),
    paid AS
    (
        SELECT m.person AS person, countIf(m.kind = 'payment') AS payments, sum(m.amount) AS revenue
        FROM money AS m INNER JOIN edges ON edges.person = m.person
        WHERE m.ts >= edges.came AND m.day <= {to:Date}
            AND toDate(m.ts) BETWEEN {from:Date} - 1 AND {to:Date} + 1
        GROUP BY m.person
    )
SELECT
    edges.inviter AS inviter,
    count() AS brought,
    countIf(paid.payments > 0) AS buyers,
    sum(paid.revenue) AS revenue
FROM edges
LEFT JOIN paid ON paid.person = edges.person
GROUP BY inviter
ORDER BY brought DESC, revenue DESC, inviter
LIMIT {limit:UInt32}
