-- title: Lifetime value against cost of acquisition
-- group: revenue
-- definition: What a new user of each channel has paid within so many days, over what a new user of it cost.
-- formula: ltv = payments minus refunds within `days` times 24 hours of the first event / new users; cac = spend of the
--   same days / new users; ratio = ltv / cac
-- grain: one row a channel
-- parameters:
--   from Date = today - 37: first day on which users came, and of spend, inclusive
--   to Date = today - 8: last day, inclusive
--   days UInt16 = 7: length of a life
--   until Date = today - 1: last day of what counts, inclusive: the last one that is over
-- example: SELECT * FROM ltv_cac(from = '2026-10-01', to = '2026-10-31', days = 30, until = '2026-11-30')
-- mistakes: Users who have not lived that long by the end of `until`, and the spend of their days, are left out. A ratio over 7 days is not one over a
--   year. A channel without imported spend has neither CAC nor ratio.
-- chart: bar x=channel y=ltv,cac
WITH
    spent AS
    (
        SELECT channel, toFloat64(sum(amount)) AS cost, count() AS entries
        FROM spend
        WHERE day BETWEEN {from:Date} AND least({to:Date}, {until:Date} - {days:UInt16})
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
            toFloat64(sum(arraySum(p -> if(p.1 >= u.first_seen AND p.1 < u.first_seen + toIntervalDay({days:UInt16}),
                p.2, toDecimal64(0, 6)), paid.payments))) AS revenue
        FROM users AS u
        LEFT JOIN
        (
            SELECT person, groupArray((ts, amount)) AS payments
            FROM money
            WHERE toDate(ts) BETWEEN {from:Date} - 1 AND {to:Date} + {days:UInt16} + 1
            GROUP BY person
        ) AS paid ON paid.person = u.person
        WHERE u.first_day BETWEEN {from:Date} AND least({to:Date}, {until:Date} - {days:UInt16})
        GROUP BY channel
    )
SELECT
    lives.channel AS channel,
    lives.users AS new_users,
    lives.revenue / lives.users AS ltv,
    if(spent.entries = 0, NULL, spent.cost) AS spend,
    spend / new_users AS cac,
    if(cac = 0, NULL, ltv / cac) AS ratio
FROM lives
LEFT JOIN spent ON spent.channel = lives.channel
ORDER BY new_users DESC, channel
