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
WITH RECURSIVE
    found AS
    (
        SELECT a.person AS person, argMin(multiIf(w.person != '', w.person, a.inviter != '', a.inviter, i.person), a.ts) AS inviter
        FROM
        (
            SELECT person, inviter, invite_id, ts FROM invites_accepted
            WHERE day BETWEEN {from:Date} AND {to:Date} AND toDate(ts) BETWEEN {from:Date} - 1 AND {to:Date} + 1
        ) AS a
        LEFT JOIN (SELECT invite_id, argMin(person, ts) AS person FROM invites WHERE invite_id != '' GROUP BY invite_id) AS i
            ON i.invite_id = a.invite_id
        LEFT ANY JOIN owners AS w ON w.id = a.inviter
        WHERE a.inviter != '' OR i.person != ''
        GROUP BY a.person
    ),
    -- With whether nobody invited the inviter: found by grouping, since to ask `found` again is to count it again.
    edges AS
    (
        SELECT person, inviter, NOT is_invited AS is_first
        FROM
        (
            SELECT each.1 AS inviter, groupArrayIf(each.2, each.2 != '') AS invited, max(each.3) AS is_invited
            FROM (SELECT arrayJoin([(inviter, person, 0), (person, '', 1)]) AS each FROM found)
            GROUP BY inviter
        )
        ARRAY JOIN invited AS person
    ),
    chain AS
    (
        SELECT person, inviter, 1 AS depth FROM edges WHERE is_first
        UNION ALL
        SELECT edges.person AS person, edges.inviter AS inviter, chain.depth + 1 AS depth
        FROM edges INNER JOIN chain ON edges.inviter = chain.person
        WHERE chain.depth < 50
    )
SELECT
    depth,
    count() AS users,
    uniqExact(inviter) AS inviters,
    users / lagInFrame(toNullable(users)) OVER (ORDER BY depth ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS growth
FROM chain
GROUP BY depth
ORDER BY depth
