-- title: User profile
-- group: segments
-- definition: One user, with all devices and ids, in one row: first and last seen, sessions, events, orders, revenue, favourite channel, platform and
--   event, segment.
-- formula: favourites are the values of most events, of equal ones the first by name; sessions are distinct session_id (0 if the producer sends none)
-- grain: one row, none if there is no such user
-- parameters:
--   actor String = '': any id of the person: user_id, old user_id, or anonymous_id
--   on Date = today: the day on which one looks; later events don't count
-- example: SELECT * FROM user_profile(actor = 'u42', on = '2026-11-30')
-- mistakes: Personal data: mind who may see it. The id of a device gives the person that it belongs to; what it did after
--   too many users had claimed it is not in there.
-- chart: table
WITH asked AS (SELECT argMin(p, n) AS found FROM
(
    SELECT concat('$device:', {actor:String}) AS p, 3 AS n
    UNION ALL
    SELECT person, if(id = {actor:String}, 0, 2) FROM owners WHERE id IN ({actor:String}, concat('$device:', {actor:String}))
    UNION ALL
    SELECT * FROM (SELECT user_id, 1 FROM events_raw WHERE user_id = {actor:String} LIMIT 1)
))
SELECT
    s.person AS actor, p.first_seen AS first_seen, p.last_seen AS last_seen, s.days_away AS days_away,
    s.active_days AS active_days, p.sessions AS sessions, s.events AS events, s.orders AS orders, s.revenue AS revenue,
    if(s.orders = 0, NULL, toFloat64(p.paid) / s.orders) AS average_order, s.last_paid_day AS last_paid_day,
    s.channel AS first_channel, p.favourite_channel AS favourite_channel, p.favourite_platform AS favourite_platform,
    p.favourite_event AS favourite_event, s.segment AS segment
FROM {database}.users_on(on = {on:Date}) AS s
INNER JOIN
(
    SELECT
        person, min(ts) AS first_seen, max(ts) AS last_seen, uniqExactIf(session_id, session_id != '') AS sessions,
        sumMapIf([toString(channel)], [1], channel != '') AS channels,
        arraySort(x -> (-x.2, x.1), arrayZip(channels.1, channels.2))[1].1 AS favourite_channel,
        sumMapIf([toString(platform)], [1], platform != '') AS platforms,
        arraySort(x -> (-x.2, x.1), arrayZip(platforms.1, platforms.2))[1].1 AS favourite_platform,
        sumMap([toString(event)], [1]) AS names,
        arraySort(x -> (-x.2, x.1), arrayZip(names.1, names.2))[1].1 AS favourite_event,
        (SELECT sum(amount) FROM payments WHERE payments.person = (SELECT found FROM asked) AND day <= {on:Date}) AS paid
    FROM activity
    WHERE person = (SELECT found FROM asked) AND day <= {on:Date}
    GROUP BY person
) AS p ON p.person = s.person
WHERE s.person = (SELECT found FROM asked)
