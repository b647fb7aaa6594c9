-- title: Ad revenue and eCPM
-- group: revenue
-- definition: Ads shown and clicked on a day, what they earned, and what a thousand of them earned.
-- formula: revenue = sum of the impressions' revenue; ecpm = 1000 * revenue / impressions; click_rate = clicks /
--   impressions; revenue_per_user = revenue / active users of the day
-- grain: one row a day, days without ads too
-- parameters:
--   from Date = today - 29: first day, inclusive
--   to Date = today: last day, inclusive
-- example: SELECT * FROM ad_revenue(from = '2026-11-01', to = '2026-11-30')
-- mistakes: Ad networks correct their figures later: this is what the events said. It is not part of `revenue`.
-- chart: line x=day y=revenue
SELECT
    toDate(d.at) AS day,
    i.impressions AS impressions,
    c.clicks AS clicks,
    i.earned AS revenue,
    i.viewers AS viewers,
    if(impressions = 0, NULL, 1000 * toFloat64(revenue) / impressions) AS ecpm,
    if(impressions = 0, NULL, clicks / impressions) AS click_rate,
    if(a.users = 0, NULL, toFloat64(revenue) / a.users) AS revenue_per_user
FROM (SELECT arrayJoin(range(toUInt32({from:Date}), toUInt32({to:Date}) + 1)) AS at) AS d
LEFT JOIN
(
    SELECT toUInt32(day) AS at, count() AS impressions, uniqExact(person) AS viewers, sum(revenue) AS earned
    FROM ad_impressions
    WHERE day BETWEEN {from:Date} AND {to:Date} AND toDate(ts) BETWEEN {from:Date} - 1 AND {to:Date} + 1
    GROUP BY at
) AS i ON i.at = d.at
LEFT JOIN
(
    SELECT toUInt32(day) AS at, count() AS clicks
    FROM ad_clicks
    WHERE day BETWEEN {from:Date} AND {to:Date} AND toDate(ts) BETWEEN {from:Date} - 1 AND {to:Date} + 1
    GROUP BY at
) AS c ON c.at = d.at
LEFT JOIN
(
    SELECT toUInt32(day) AS at, uniqExact(person) AS users
    FROM activity
    WHERE day BETWEEN {from:Date} AND {to:Date} AND toDate(ts) BETWEEN {from:Date} - 1 AND {to:Date} + 1
    GROUP BY at
) AS a ON a.at = d.at
ORDER BY day
