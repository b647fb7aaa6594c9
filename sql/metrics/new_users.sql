-- title: New users by channel and campaign
-- group: acquisition
-- definition: Users whose first event of all fell on the day, and users who registered on it, by the channel and campaign
--   that brought them.
-- formula: new: first event on the day. registered: first registration on the day (without a registration in the plan:
--   the same). channel and campaign: the first that any event of the user names
-- grain: one row a day, channel and campaign
-- parameters:
--   from Date = today - 29: first day, inclusive
--   to Date = today: last day, inclusive
-- example: SELECT * FROM new_users(from = '2026-11-01', to = '2026-11-30')
-- mistakes: A visitor who logs in is one user, new on the day of the first visit: a login moves a new user to an
--   earlier day. Each user is in one row of each kind, so these rows do add up.
-- chart: line x=day y=new series=channel
SELECT
    day,
    channel,
    campaign,
    countIf(what = 'new') AS new,
    countIf(what = 'registered') AS registered
FROM
(
    SELECT channel, campaign, arrayJoin([(first_day, 'new'), (assumeNotNull(joined_day), 'registered')]) AS moment,
        moment.1 AS day, moment.2 AS what
    FROM users
    WHERE (what = 'new' OR joined_day IS NOT NULL) AND day BETWEEN {from:Date} AND {to:Date}
)
GROUP BY day, channel, campaign
ORDER BY day, new DESC, channel, campaign
