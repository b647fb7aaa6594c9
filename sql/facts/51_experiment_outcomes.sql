-- those persons, whether each reached the goal (a payment, or the event given) afterwards, and the sum of its value
SELECT
    met.experiment AS experiment,
    met.person AS person,
    met.variant AS variant,
    arrayFilter(m -> m.1 >= met.since, goals.moments) AS after,
    arrayExists(m -> m.2, after) AS has_converted,
    toFloat64(arraySum(m -> m.3, after)) AS amount
FROM {database}.experiment_users(from = {from:Date}, to = {to:Date}, experiment = {experiment:String}) AS met
LEFT JOIN
(
    SELECT person, groupArray((ts, reached, amount)) AS moments
    FROM
    (
        SELECT person, ts, kind = 'payment' AS reached, amount
        FROM money
        WHERE {goal:String} = '' AND day BETWEEN {from:Date} AND {to:Date}
            AND toDate(ts) BETWEEN {from:Date} - 1 AND {to:Date} + 1
        UNION ALL
        SELECT person, ts, true AS reached, value AS amount
        FROM activity
        WHERE {goal:String} != '' AND event = {goal:String} AND day BETWEEN {from:Date} AND {to:Date}
            AND toDate(ts) BETWEEN {from:Date} - 1 AND {to:Date} + 1
    )
    GROUP BY person
) AS goals ON goals.person = met.person
