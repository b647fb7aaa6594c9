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
WITH
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
    -- To whom one comes going up from each person, at most so many `steps`: everybody goes the way of whom they came to
    -- besides their own. By grouping, since to ask a name of WITH again is to count it again, as `WITH RECURSIVE` does each time.
    within_2 AS
    (
        SELECT way.1 AS person, way.2 AS inviter, if(further > 0, next, here) AS at, way.3 + further AS steps
        FROM
        (
            SELECT each.1 AS here, groupArrayIf(each.2, each.2.3 > 0) AS ways, max(each.3) AS next, max(each.4) AS further
            FROM (SELECT arrayJoin([(at, (person, inviter, steps), '', 0), (person, ('', '', 0), at, steps)]) AS each FROM (SELECT person, inviter, inviter AS at, 1 AS steps FROM found))
            GROUP BY here
        )
        ARRAY JOIN ways AS way
    ),
    within_4 AS
    (
        SELECT way.1 AS person, way.2 AS inviter, if(further > 0, next, here) AS at, way.3 + further AS steps
        FROM
        (
            SELECT each.1 AS here, groupArrayIf(each.2, each.2.3 > 0) AS ways, max(each.3) AS next, max(each.4) AS further
            FROM (SELECT arrayJoin([(at, (person, inviter, steps), '', 0), (person, ('', '', 0), at, steps)]) AS each FROM within_2)
            GROUP BY here
        )
        ARRAY JOIN ways AS way
    ),
    within_8 AS
    (
        SELECT way.1 AS person, way.2 AS inviter, if(further > 0, next, here) AS at, way.3 + further AS steps
        FROM
        (
            SELECT each.1 AS here, groupArrayIf(each.2, each.2.3 > 0) AS ways, max(each.3) AS next, max(each.4) AS further
            FROM (SELECT arrayJoin([(at, (person, inviter, steps), '', 0), (person, ('', '', 0), at, steps)]) AS each FROM within_4)
            GROUP BY here
        )
        ARRAY JOIN ways AS way
    ),
    within_16 AS
    (
        SELECT way.1 AS person, way.2 AS inviter, if(further > 0, next, here) AS at, way.3 + further AS steps
        FROM
        (
            SELECT each.1 AS here, groupArrayIf(each.2, each.2.3 > 0) AS ways, max(each.3) AS next, max(each.4) AS further
            FROM (SELECT arrayJoin([(at, (person, inviter, steps), '', 0), (person, ('', '', 0), at, steps)]) AS each FROM within_8)
            GROUP BY here
        )
        ARRAY JOIN ways AS way
    ),
    within_32 AS
    (
        SELECT way.1 AS person, way.2 AS inviter, if(further > 0, next, here) AS at, way.3 + further AS steps
        FROM
        (
            SELECT each.1 AS here, groupArrayIf(each.2, each.2.3 > 0) AS ways, max(each.3) AS next, max(each.4) AS further
            FROM (SELECT arrayJoin([(at, (person, inviter, steps), '', 0), (person, ('', '', 0), at, steps)]) AS each FROM within_16)
            GROUP BY here
        )
        ARRAY JOIN ways AS way
    ),
    within_64 AS
    (
        SELECT way.1 AS person, way.2 AS inviter, if(further > 0, next, here) AS at, way.3 + further AS steps
        FROM
        (
            SELECT each.1 AS here, groupArrayIf(each.2, each.2.3 > 0) AS ways, max(each.3) AS next, max(each.4) AS further
            FROM (SELECT arrayJoin([(at, (person, inviter, steps), '', 0), (person, ('', '', 0), at, steps)]) AS each FROM within_32)
            GROUP BY here
        )
        ARRAY JOIN ways AS way
    )
SELECT
    steps AS depth,
    count() AS users,
    uniqExact(inviter) AS inviters,
    users / lagInFrame(toNullable(users)) OVER (ORDER BY depth ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS growth
FROM within_64
WHERE steps <= 50
GROUP BY depth
ORDER BY depth
