-- title: Payback time
-- title_zh: 回本周期
-- group: revenue
-- definition: How much of its cost a new user of each channel has paid back after so many days, and on which day all.
-- definition_zh: 各渠道新用户自首次出现起第 N 天的人均累计净收入占获客成本的比例，以及首次回本的天数。
-- formula: recovered = payments minus refunds until `day` times 24 hours plus 24 after the first event / spend on the
--   channel; payback_day: the first day with recovered >= 1, NULL if there is none
-- grain: one row a channel with spend and day of life, from 0
-- parameters:
--   from Date = today - 29: first day on which users came, and of spend, inclusive
--   to Date = today - 14: last day, inclusive
--   days UInt16 = 14: days of life to look at
-- example: SELECT * FROM payback(from = '2026-10-01', to = '2026-10-31', days = 30)
-- mistakes: Let every user have lived `days` days: end so many before today. Refunds come later than payments: a channel can
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
    came AS
    (
        SELECT actor, channel, first_seen
        FROM users
        WHERE first_day BETWEEN {from:Date} AND {to:Date} AND channel IN (SELECT channel FROM spent)
    ),
    paid AS
    (
        SELECT came.channel AS channel, intDiv(dateDiff('millisecond', came.first_seen, m.ts), 86400000) AS age,
            toFloat64(sum(m.amount)) AS revenue
        FROM money AS m INNER JOIN came ON came.actor = m.actor
        WHERE m.ts >= came.first_seen AND toDate(m.ts) BETWEEN {from:Date} - 1 AND {to:Date} + {days:UInt16} + 1
        GROUP BY channel, age
    ),
    lived AS
    (
        SELECT spent.channel AS channel, number AS day, spent.cost AS cost
        FROM spent CROSS JOIN numbers(toUInt64({days:UInt16}) + 1) AS n
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
    SELECT lived.channel AS channel, lived.day AS day, lived.cost AS cost, u.users AS users,
        sum(paid.revenue) OVER (PARTITION BY lived.channel ORDER BY lived.day
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS total
    FROM lived
    LEFT JOIN paid ON paid.channel = lived.channel AND paid.age = lived.day
    LEFT JOIN (SELECT channel, count() AS users FROM came GROUP BY channel) AS u ON u.channel = lived.channel
)
ORDER BY channel, day
