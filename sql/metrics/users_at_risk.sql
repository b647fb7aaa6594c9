-- title: Users at risk
-- group: retention
-- definition: The users who have been away for longer than the plan's at_risk days and not yet longer than its dormant
--   days, those of most value first.
-- formula: days_away = days from the last active day to `on`; at risk: at_risk < days_away <= dormant
-- grain: one row a user
-- parameters:
--   on Date = today: the day on which one looks; later events don't count
-- example: SELECT * FROM users_at_risk(on = '2026-11-30')
-- mistakes: Whoever comes rarely by habit looks at risk: compare days_away with active_days.
-- chart: table
SELECT person AS actor, last_day, days_away, first_day, active_days, orders, revenue, channel
FROM {database}.users_on(on = {on:Date})
WHERE segment = 'at_risk'
ORDER BY revenue DESC, active_days DESC, person
