-- title: Channels by who stays
-- group: acquisition
-- definition: Of the users who came new by each channel, in one row: how many came back the day after and on the nth day,
--   how many paid, what they paid and what they cost, and what is left of each unit spent.
-- formula: next_day_rate, retained_rate = users with an event on the day after, on the `days`-th day after their first day
--   / new users; ltv = payments minus refunds within `days` times 24 hours of the first event / new users; cac = spend of
--   the same days / new users; roi = (payments minus refunds - spend) / spend
-- grain: one row a channel
-- parameters:
--   from Date = today - 37: first day on which users came, and of spend, inclusive
--   to Date = today - 8: last day, inclusive
--   days UInt16 = 7: the day of retention, and the length of a life
--   until Date = today - 1: last day of what counts, inclusive: the last one that is over
-- example: SELECT * FROM channel_quality(from = '2026-11-01', to = '2026-11-23', days = 7, until = '2026-11-30')
-- mistakes: Users who have not had `days` days by the end of `until`, and the spend of their days, are left out. A channel
--   without imported spend has neither CAC nor ROI, which is not free. Small channels have large swings: look at new_users.
-- chart: bar x=channel y=retained_rate
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
            channel,
            count() AS users,
            countIf(next_day) AS came_next_day,
            countIf(kept) AS came_later,
            countIf(arrayExists(p -> p.3 = 'payment', payments)) AS payers,
            toFloat64(sum(arraySum(p -> p.2, payments))) AS revenue
        FROM
        (
            SELECT
                u.channel AS channel,
                has(u.active_days, u.first_day + 1) AS next_day,
                has(u.active_days, u.first_day + {days:UInt16}) AS kept,
                arrayFilter(p -> p.1 >= u.first_seen AND p.1 < u.first_seen + toIntervalDay({days:UInt16}), paid.payments)
                    AS payments
            FROM users AS u
            LEFT ANY JOIN
            (
                SELECT person, groupArray((ts, amount, kind)) AS payments
                FROM money
                WHERE toDate(ts) BETWEEN {from:Date} - 1 AND {to:Date} + {days:UInt16} + 1
                GROUP BY person
            ) AS paid ON paid.person = u.person
            WHERE u.first_day BETWEEN {from:Date} AND least({to:Date}, {until:Date} - {days:UInt16})
        )
        GROUP BY channel
    )
SELECT
    lives.channel AS channel,
    lives.users AS new_users,
    lives.came_next_day / new_users AS next_day_rate,
    lives.came_later / new_users AS retained_rate,
    lives.payers / new_users AS paid_rate,
    lives.revenue / new_users AS ltv,
    if(spent.entries = 0, NULL, spent.cost) AS spend,
    spend / new_users AS cac,
    if(spend = 0, NULL, (lives.revenue - spend) / spend) AS roi
FROM lives
LEFT JOIN spent ON spent.channel = lives.channel
ORDER BY new_users DESC, channel
