-- title: Chains of invitations
-- group: campaigns
-- definition: How many users came by an invitation of somebody who was not invited (depth 1), of somebody at depth 1
--   (depth 2), and so on.
-- formula: depth = depth of the inviter + 1. growth = users / users of the depth before. Followed to depth 50
-- grain: one row a depth
-- parameters:
--   from Date = today - 29: first day of acceptances, inclusive
--   to Date = today: last day, inclusive
-- example: SELECT * FROM invitation_chains(from = '2026-11-01', to = '2026-11-30')
-- mistakes: Only acceptances of the period are seen: a chain that began before it begins anew at depth 1. Of several
--   acceptances of one user the first counts. A circle of users who invited one another hangs on nobody, and is left out.
-- chart: bar x=depth y=users
SELECT
    depth,
    count() AS users,
    uniqExact(inviter) AS inviters,
    users / lagInFrame(toNullable(users)) OVER (ORDER BY depth ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS growth
FROM {database}.invited_depths(from = {from:Date}, to = {to:Date})
GROUP BY depth
ORDER BY depth
