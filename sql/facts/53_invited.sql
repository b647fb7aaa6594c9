-- one row a person who accepted an invitation of the days from to to and whose inviter is known: when first, and of whom
SELECT a.person AS person, min(a.ts) AS came,
    argMin(multiIf(w.person != '', w.person, a.inviter != '', a.inviter, i.person), a.ts) AS inviter
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
