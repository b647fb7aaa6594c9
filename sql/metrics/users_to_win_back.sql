-- title: Users to win back
-- group: retention
-- definition: The users who have been away for longer than the plan's dormant days and were worth something: who paid, or
--   were active on several days; those of most value first.
-- formula: days_away > dormant, and net revenue > 0 or active on at least 2 days
-- grain: one row a user
-- parameters:
--   on Date = today: the day on which one looks; later events don't count
-- example: SELECT * FROM users_to_win_back(on = '2026-11-30')
-- mistakes: The longer away, the less likely to come back: begin with those who left last. Who came once and never paid is
--   not in the list.
-- chart: table
SELECT person AS actor, last_day, days_away, first_day, active_days, orders, revenue, channel
FROM {database}.users_on(on = {on:Date})
WHERE segment = 'churned' AND (revenue > 0 OR active_days >= 2)
ORDER BY revenue DESC, days_away, person
