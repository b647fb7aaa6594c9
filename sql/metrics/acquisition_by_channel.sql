-- title: Conversion by channel
-- group: acquisition
-- definition: Of the users who came new in the period by a channel: how many registered, were activated and paid within
--   so many days of their first event, and what they paid.
-- formula: rate = users who did it within `days` times 24 hours of their first event / new users of the channel.
--   revenue: payments minus refunds in that time
-- grain: one row a channel, and campaign if by_campaign is 1
-- parameters:
--   from Date = today - 37: first day on which users came, inclusive
--   to Date = today - 8: last day, inclusive
--   days UInt16 = 7: how long a user has for it
--   until Date = today - 1: last day of what counts, inclusive: the last one that is over
--   by_campaign UInt8 = 0: 1 parts channels by campaign
-- example: SELECT * FROM acquisition_by_channel(from = '2026-11-01', to = '2026-11-23', days = 7, until = '2026-11-30', by_campaign = 0)
-- mistakes: Users who have not had `days` days by the end of `until` are left out. The channel is that of the first
--   touch; attribution compares it with the last.
-- chart: bar x=channel y=paid_rate series=campaign
WITH came AS
(
    SELECT person, channel, if({by_campaign:UInt8} = 1, campaign, '') AS part, first_seen,
        first_seen + toIntervalDay({days:UInt16}) AS until
    FROM users
    WHERE first_day BETWEEN {from:Date} AND least({to:Date}, {until:Date} - {days:UInt16})
)
SELECT
    channel,
    part AS campaign,
    count() AS users,
    countIf(has(whats, 'registration')) AS registered,
    countIf(has(whats, 'activation')) AS activated,
    countIf(has(whats, 'payment')) AS paid,
    registered / users AS registered_rate,
    activated / users AS activated_rate,
    paid / users AS paid_rate,
    sum(arraySum(d -> d.3, deeds)) AS revenue
FROM
(
    SELECT channel, part, arrayFilter(d -> d.1 >= first_seen AND d.1 < until, did.deeds) AS deeds,
        arrayMap(d -> d.2, deeds) AS whats
    FROM came
    LEFT ANY JOIN
    (
        SELECT person, groupArray((ts, kind, amount)) AS deeds FROM milestones
        WHERE toDate(ts) BETWEEN {from:Date} - 1 AND {to:Date} + {days:UInt16} + 1
        GROUP BY person
    ) AS did ON did.person = came.person
)
GROUP BY channel, part
ORDER BY users DESC, channel, campaign
