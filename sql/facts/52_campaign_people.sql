-- one row an operation of the days from to to, part (participants, others, before) and person: bought, revenue, came back
WITH
    ops AS
    (
        SELECT name, starts, least(campaigns.ends, {until:Date}) AS last, comparison,
            toInt32(last - starts + 1) AS days
        FROM campaigns
        WHERE starts <= {to:Date} AND campaigns.ends >= {from:Date}
    ),
    (SELECT groupArray((name, starts, last, comparison, days)) FROM ops) AS all_ops
SELECT
    found.1.1 AS name,
    found.2 AS part,
    person,
    arrayFilter(p -> if(part = 'before', p.1 >= found.1.2 - found.1.5 AND p.1 < found.1.2,
        p.1 BETWEEN found.1.2 AND found.1.3), payments) AS within,
    arrayExists(p -> p.2, within) AS has_bought,
    arraySum(p -> p.3, within) AS revenue,
    arrayExists(d -> d > found.1.3 AND d <= found.1.3 + 7, active_days) AS has_returned
FROM
(
    -- One row a person: active days, operations taken part in and when, payments. So the events are read once, however
    -- many operations there are; and of these only those go on that have to do with the person.
    SELECT
        a.person AS person,
        a.active_days AS active_days,
        m.payments AS payments,
        arrayFilter(o -> arrayExists(t -> t.1 = o.1 AND t.2 BETWEEN o.2 AND o.3, t.took), all_ops) AS joined,
        arrayJoin(arrayConcat(
            arrayMap(o -> (o, 'participants'), joined),
            arrayMap(o -> (o, 'before'), arrayFilter(o -> o.4 = 'before', joined)),
            arrayMap(o -> (o, 'others'), arrayFilter(
                o -> o.4 = 'others' AND NOT has(joined, o) AND arrayExists(d -> d BETWEEN o.2 AND o.3, a.active_days),
                all_ops)))) AS found
    FROM
    (
        SELECT person, groupUniqArray(day) AS active_days
        FROM activity
        WHERE day BETWEEN (SELECT min(starts) FROM ops) AND (SELECT least(max(last) + 7, {until:Date}) FROM ops)
            AND toDate(ts) BETWEEN (SELECT min(starts) - 1 FROM ops) AND (SELECT least(max(last) + 7, {until:Date}) + 1 FROM ops)
        GROUP BY person
    ) AS a
    LEFT JOIN
    (
        SELECT person, groupUniqArray((participated, day)) AS took
        FROM participations
        WHERE day BETWEEN (SELECT min(starts) FROM ops) AND (SELECT max(last) FROM ops)
            AND toDate(ts) BETWEEN (SELECT min(starts) - 1 FROM ops) AND (SELECT max(last) + 1 FROM ops)
        GROUP BY person
    ) AS t ON t.person = a.person
    LEFT JOIN
    (
        SELECT person, groupArray((day, kind = 'payment', amount)) AS payments
        FROM money
        WHERE day BETWEEN (SELECT min(starts - days) FROM ops) AND (SELECT max(last) FROM ops)
            AND toDate(ts) BETWEEN (SELECT min(starts - days) - 1 FROM ops) AND (SELECT max(last) + 1 FROM ops)
        GROUP BY person
    ) AS m ON m.person = a.person
)
