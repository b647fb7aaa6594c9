-- title: Content by age
-- group: content
-- definition: Views of the period by how old the piece was when it was viewed: how long content lives.
-- formula: age = view - publication (imported, else the event that made the piece; the earlier of both)
-- grain: one row an age; unknown for pieces whose publication is not known
-- parameters:
--   from Date = today - 29: first day of views, inclusive
--   to Date = today: last day, inclusive
-- example: SELECT * FROM content_by_age(from = '2026-11-01', to = '2026-11-30')
-- mistakes: The young ages have few pieces, the old ones many: look at views_per_item as well. A view before the
--   publication (a preview, a wrong clock) counts as 0 to 1 day.
-- chart: bar x=age y=views
SELECT
    ['0 to 1 day', '1 to 3 days', '3 to 7 days', '7 to 30 days', 'over 30 days', 'unknown'][place] AS age,
    count() AS views,
    uniqExact(person) AS readers,
    uniqExact(item) AS items,
    views / items AS views_per_item,
    views / sum(views) OVER () AS share
FROM
(
    SELECT v.person AS person, v.item AS item, dateDiff('millisecond', made.published, v.ts) / 86400000 AS days,
        multiIf(made.item = '', 6, days < 1, 1, days < 3, 2, days < 7, 3, days < 30, 4, 5) AS place
    FROM
    (
        SELECT person, item, ts FROM content_actions
        WHERE action = 'view' AND item != ''
            AND day BETWEEN {from:Date} AND {to:Date} AND toDate(ts) BETWEEN {from:Date} - 1 AND {to:Date} + 1
    ) AS v
    LEFT JOIN content_made AS made ON made.item = v.item
)
GROUP BY place
ORDER BY place
