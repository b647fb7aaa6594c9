-- title: Sessions by day
-- group: activity
-- definition: Sessions that began on the day, their length, events in one, and the time that a user spends in the app.
-- formula: a session is the events of one person and session_id; without one, events no further apart than session_gap.
--   seconds: last minus first event. time_in_app = sum of seconds / users. bounce_rate = sessions of one event / sessions
-- grain: one row a day, days without sessions too
-- parameters:
--   from Date = today - 29: first day, inclusive
--   to Date = today: last day, inclusive
-- example: SELECT * FROM sessions_daily(from = '2026-11-01', to = '2026-11-30')
-- mistakes: A session over midnight belongs to the day on which it began. A session of one event lasts 0 seconds: the
--   length is what lies between events, not what the user looked at after the last one. The mean is pulled up by
--   sessions that were left open: prefer the median.
-- chart: line x=day y=sessions,users
SELECT
    toDate(days.day) AS day,
    s.sessions AS sessions,
    s.users AS users,
    if(s.users = 0, NULL, sessions / users) AS sessions_per_user,
    if(s.users = 0, NULL, s.median_s) AS median_seconds,
    if(s.users = 0, NULL, s.seconds / sessions) AS mean_seconds,
    if(s.users = 0, NULL, s.seconds / users) AS time_in_app_seconds,
    if(s.users = 0, NULL, s.events / sessions) AS events_per_session,
    if(s.users = 0, NULL, s.bounces / sessions) AS bounce_rate
FROM (SELECT arrayJoin(range(toUInt32({from:Date}), toUInt32({to:Date}) + 1)) AS day) AS days
LEFT JOIN
(
    SELECT
        toUInt32(day) AS at,
        count() AS sessions,
        uniqExact(who) AS users,
        sum(sessions_of.seconds) AS seconds,
        quantileExactInclusive(0.5)(sessions_of.seconds) AS median_s,
        sum(sessions_of.events) AS events,
        countIf(sessions_of.events = 1) AS bounces
    FROM {database}.sessions_between(from = {from:Date}, to = {to:Date}) AS sessions_of
    GROUP BY at
) AS s ON s.at = days.day
ORDER BY day
