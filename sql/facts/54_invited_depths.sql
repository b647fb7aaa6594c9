-- those persons, and how many invitations lie between each and somebody who was not invited (at most 50), in a chain
WITH
    -- To whom one comes going up from each person, at most so many `steps`: everybody goes the way of whom they came to
    -- besides their own. By grouping, since to ask a name of WITH again is to count it again, as `WITH RECURSIVE` does each time.
    within_2 AS
    (
        SELECT way.1 AS person, way.2 AS inviter, if(further > 0, next, here) AS at, way.3 + further AS steps
        FROM
        (
            SELECT each.1 AS here, groupArrayIf(each.2, each.2.3 > 0) AS ways, max(each.3) AS next, max(each.4) AS further
            FROM (SELECT arrayJoin([(at, (person, inviter, steps), '', 0), (person, ('', '', 0), at, steps)]) AS each FROM (SELECT person, inviter, inviter AS at, 1 AS steps FROM {database}.invited(from = {from:Date}, to = {to:Date})))
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
SELECT person, inviter, steps AS depth
FROM within_64
WHERE depth <= 50
