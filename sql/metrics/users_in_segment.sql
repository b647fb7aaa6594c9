-- title: Users of a segment
-- group: segments
-- definition: The users of one segment (see segments), those of most value first.
-- formula: as in segments
-- grain: one row a user
-- parameters:
--   segment String = high_value (one of new, active, high_value, at_risk, churned): the segment
--   on Date = today: the day on which one looks; later events don't count
-- example: SELECT * FROM users_in_segment(segment = 'high_value', on = '2026-11-30')
-- mistakes: A list is true of its day: make it anew before it is used.
-- chart: table
SELECT person AS actor, first_day, last_day, days_away, active_days, events, orders, revenue, last_paid_day, channel
FROM {database}.users_on(on = {on:Date})
WHERE segment = {segment:String}
ORDER BY revenue DESC, active_days DESC, person
