-- title: RFM scores
-- group: segments
-- definition: The buyers of the period, each with scores from 1 to 5 for how recently, how often and how much they bought,
--   and the segment that follows from them.
-- formula: scores by the quintiles of all buyers, equal values have equal scores; worth = (F + M) / 2. champions: R >= 4,
--   worth >= 4. loyal: R >= 3, worth >= 3. promising: other R >= 4. need attention: other R = 3. can not lose: worth >= 4.
--   at risk: worth >= 3. hibernating: the rest
-- grain: one row a buyer
-- parameters:
--   from Date = today - 364: first day, inclusive
--   to Date = today: last day, inclusive; recency is counted from it
-- example: SELECT * FROM rfm(from = '2025-12-01', to = '2026-11-30')
-- mistakes: Scores are relative: half of the buyers can't become champions. Where most buy once, frequency says little.
-- chart: table
SELECT person AS actor, recency_days, orders, revenue, recency, frequency, money_score AS monetary, segment
FROM {database}.rfm_between(from = {from:Date}, to = {to:Date})
ORDER BY recency + frequency + monetary DESC, revenue DESC, person
