-- title: Payback time
-- group: revenue
-- definition: How much of its cost a new user of each channel has paid back after so many days, and on which day all.
-- formula: recovered = payments minus refunds until `day` times 24 hours plus 24 after the first event / spend on the
--   channel; payback_day: the first day with recovered >= 1, NULL if there is none
-- grain: one row a channel with spend and day of life, from 0
-- parameters:
--   from Date = today - 30: first day on which users came, and of spend, inclusive
--   to Date = today - 15: last day, inclusive
--   days UInt16 = 14: days of life to look at
--   until Date = today - 1: last day of what counts, inclusive: the last one that is over
-- example: SELECT * FROM payback(from = '2026-10-01', to = '2026-10-31', days = 30, until = '2026-11-30')
-- mistakes: A day of life that some of the users have not had by the end of `until` is left out, so `payback_day` looks
--   no further: let every user have lived `days` days. Refunds come later than payments: a channel can
--   fall behind its cost again after the payback_day.
-- chart: line x=day y=recovered series=channel
WITH
    spent AS
    (
        SELECT channel, toFloat64(sum(amount)) AS cost
        FROM spend
        WHERE day BETWEEN {from:Date} AND {to:Date}
            AND NOT throwIf((SELECT uniqExactIf(currency, currency != '') FROM spend WHERE day BETWEEN {from:Date} AND {to:Date}) > 1,
                'spend is in several currencies: import it in one')
        GROUP BY channel
    ),
    -- A name of WITH is put in wherever it stands: the users are named once, so that they are looked for once.
    lives AS
    (
        SELECT
            u.channel AS channel,
            count() AS users,
            groupArrayArray(arrayMap(
                p -> (intDiv(dateDiff('millisecond', u.first_seen, p.1), 86400000), toFloat64(p.2)),
                arrayFilter(p -> p.1 >= u.first_seen, paid.payments))) AS payments
        FROM users AS u
        LEFT JOIN
        (
            SELECT person, groupArray((ts, amount)) AS payments
            FROM money
            WHERE toDate(ts) BETWEEN {from:Date} - 1 AND {to:Date} + {days:UInt16} + 1
            GROUP BY person
        ) AS paid ON paid.person = u.person
        WHERE u.first_day BETWEEN {from:Date} AND {to:Date}
        GROUP BY channel
    )
SELECT
    channel,
    day,
    users,
    if(users = 0, NULL, cost / users) AS cac,
    if(users = 0, NULL, total / users) AS revenue_per_user,
    if(cost = 0, NULL, total / cost) AS recovered,
    minOrNullIf(day, total >= cost) OVER (PARTITION BY channel) AS payback_day
FROM
(
    SELECT
        spent.channel AS channel,
        spent.cost AS cost,
        lives.users AS users,
        arrayJoin(range(toUInt32({days:UInt16}) + 1)) AS day,
        arraySum(p -> if(p.1 <= day, p.2, 0.), lives.payments) AS total
    FROM spent
    LEFT JOIN lives ON lives.channel = spent.channel
    WHERE {to:Date} + day + 1 <= {until:Date}
)
ORDER BY channel, day
