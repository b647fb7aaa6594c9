-- one row an operation of the days from to to, part (participants, others, before) and person: bought, revenue, came back
WITH
    ops AS
    (
        SELECT name, starts, least(campaigns.ends, {until:Date}) AS last, comparison,
            toInt32(last - starts + 1) AS days
        FROM campaigns
        WHERE starts <= {to:Date} AND campaigns.ends >= {from:Date}
    ),
    (SELECT (min(starts), max(last), least(max(last) + 7, {until:Date}), min(starts - days)) FROM ops) AS span,
    -- An operation is its place in these lists, from 1: a number is lighter to carry along than a name.
    (SELECT groupArray((name, starts, last, comparison, days)) FROM ops) AS all_ops,
    all_ops.1 AS names,
    all_ops.2 AS firsts,
    all_ops.3 AS lasts,
    arrayMap(o -> o.2 - o.5, all_ops) AS befores,
    arrayFilter((i, o) -> o.4 = 'before', arrayEnumerate(all_ops), all_ops) AS with_before,
    -- Those that are compared with others, by day from the first one on.
    arrayMap(n -> arrayFilter((i, o) -> o.4 = 'others' AND span.1 + n BETWEEN o.2 AND o.3, arrayEnumerate(all_ops), all_ops),
        range(toUInt32(greatest(span.3 - span.1 + 1, 0)))) AS with_others
SELECT
    names[op] AS name,
    ['participants', 'before', 'others'][group] AS part,
    f.person AS person,
    arrayFilter(p -> p.1 >= first_day AND p.1 < after, m.payments) AS within,
    arrayExists(p -> p.2, within) AS has_bought,
    arraySum(p -> p.3, within) AS revenue,
    arrayExists(d -> d > last_day AND d <= last_day + 7, active_days) AS has_returned
FROM
(
    SELECT person, active_days, found.1 AS op, found.2 AS group, lasts[op] AS last_day,
        if(group = 2, befores[op], firsts[op]) AS first_day, if(group = 2, firsts[op], last_day + 1) AS after
    FROM
    (
        -- One row a person: active days, operations taken part in. So the events are read once, however many operations
        -- there are; and of these only those go on that have to do with the person.
        SELECT a.person AS person, a.active_days AS active_days, t.joined AS joined
        FROM
        (
            SELECT person, groupUniqArray(day) AS active_days
            FROM activity
            WHERE day BETWEEN span.1 AND span.3 AND toDate(ts) BETWEEN span.1 - 1 AND span.3 + 1
            GROUP BY person
        ) AS a
        LEFT ANY JOIN
        (
            SELECT person, groupUniqArray(toUInt32(indexOf(names, participated)) AS op) AS joined
            FROM participations
            WHERE day BETWEEN span.1 AND span.2 AND toDate(ts) BETWEEN span.1 - 1 AND span.2 + 1
                AND op > 0 AND day BETWEEN firsts[op] AND lasts[op]
            GROUP BY person
        ) AS t ON t.person = a.person
    )
    ARRAY JOIN arrayConcat(
        arrayMap(o -> (o, 1), joined),
        arrayMap(o -> (o, 2), arrayIntersect(joined, with_before)),
        arrayMap(o -> (o, 3), arrayFilter(o -> NOT has(joined, o),
            arrayDistinct(arrayFlatten(arrayMap(d -> with_others[d - span.1 + 1], active_days)))))) AS found
) AS f
LEFT ANY JOIN
(
    SELECT person, groupArray((day, kind = 'payment', amount)) AS payments
    FROM money
    WHERE day BETWEEN span.4 AND span.2 AND toDate(ts) BETWEEN span.4 - 1 AND span.2 + 1
    GROUP BY person
) AS m ON m.person = f.person
