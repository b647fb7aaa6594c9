-- title: Cost of acquisition and return on ad spend
-- group: acquisition
-- definition: What was spent in the period on each channel, what a new user, a registration and a buyer cost, and what the
--   users who came new in the period have paid until its last day for each unit spent.
-- formula: cac = spend / new users (first event in the period, channel of the first touch); cost_per_registration and
--   cost_per_buyer: of those new users, who registered, who paid; roas = their payments minus refunds / spend; ctr =
--   clicks / impressions; cpc = spend / clicks; cpm = 1000 * spend / impressions
-- grain: one row a channel, and campaign if by_campaign is 1; channels without spend too
-- parameters:
--   from Date = today - 29: first day of spend and of new users, inclusive
--   to Date = today: last day, inclusive
--   by_campaign UInt8 = 0: 1 parts channels by campaign
-- example: SELECT * FROM acquisition_cost(from = '2026-11-01', to = '2026-11-30', by_campaign = 0)
-- mistakes: Spend is imported (`streamgauge import spend`): a channel without it has no cost (NULL), which is not free.
--   Channels and campaigns match letter by letter. Money spent on a day brings users later, so short periods mislead.
--   A ROAS over the period says nothing about what the users will pay afterwards: see ltv_cac and payback.
-- chart: bar x=channel y=cac series=campaign
WITH
    spent AS
    (
        SELECT
            channel,
            if({by_campaign:UInt8} = 1, campaign, '') AS part,
            toFloat64(sum(amount)) AS cost,
            sum(impressions) AS shown,
            sum(clicks) AS clicked
        FROM spend
        WHERE day BETWEEN {from:Date} AND {to:Date}
            AND NOT throwIf((SELECT uniqExactIf(currency, currency != '') FROM spend WHERE day BETWEEN {from:Date} AND {to:Date}) > 1,
                'spend is in several currencies: import it in one')
        GROUP BY channel, part
    ),
    came AS
    (
        SELECT person, channel, if({by_campaign:UInt8} = 1, campaign, '') AS part,
            joined_day IS NOT NULL AND joined_day <= {to:Date} AS registered
        FROM users
        WHERE first_day BETWEEN {from:Date} AND {to:Date}
    ),
    paid AS
    (
        SELECT person, countIf(kind = 'payment') AS payments, toFloat64(sum(amount)) AS revenue
        FROM money
        WHERE day BETWEEN {from:Date} AND {to:Date} AND toDate(ts) BETWEEN {from:Date} - 1 AND {to:Date} + 1
        GROUP BY person
    ),
    brought AS
    (
        SELECT came.channel AS channel, came.part AS part, count() AS users, countIf(came.registered) AS registrations,
            countIf(paid.payments > 0) AS buyers, sum(paid.revenue) AS revenue
        FROM came LEFT ANY JOIN paid ON paid.person = came.person
        GROUP BY channel, part
    ),
    rows AS
    (
        SELECT channel, part, 1 AS is_spent, cost, shown, clicked, 0 AS users, 0 AS registrations, 0 AS buyers,
            0. AS revenue
        FROM spent
        UNION ALL
        SELECT channel, part, 0, 0., 0, 0, users, registrations, buyers, revenue FROM brought
    )
SELECT
    channel,
    part AS campaign,
    if(sum(is_spent) = 0, NULL, sum(cost)) AS spend,
    sum(shown) AS impressions,
    sum(clicked) AS clicks,
    if(impressions = 0, NULL, clicks / impressions) AS ctr,
    if(clicks = 0, NULL, spend / clicks) AS cpc,
    if(impressions = 0, NULL, 1000 * spend / impressions) AS cpm,
    sum(users) AS new_users,
    if(new_users = 0, NULL, spend / new_users) AS cac,
    sum(registrations) AS registered,
    if(registered = 0, NULL, spend / registered) AS cost_per_registration,
    sum(buyers) AS paying,
    if(paying = 0, NULL, spend / paying) AS cost_per_buyer,
    sum(rows.revenue) AS revenue,
    if(spend = 0, NULL, revenue / spend) AS roas
FROM rows
GROUP BY channel, part
ORDER BY ifNull(spend, 0) DESC, new_users DESC, channel, campaign
