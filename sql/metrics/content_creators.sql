-- title: Creators
-- group: content
-- definition: Who made content in the period, and how it was received in it.
-- formula: items: pieces made in the period; views, readers, reactions (likes, comments, shares) in the period of all
--   pieces of the creator that are known, older ones too
-- grain: one row a creator who made something or was viewed
-- parameters:
--   from Date = today - 29: first day, inclusive
--   to Date = today: last day, inclusive
--   limit UInt32 = 50: so many creators
-- example: SELECT * FROM content_creators(from = '2026-11-01', to = '2026-11-30', limit = 50)
-- mistakes: A creator's own views and likes count, too. Views of pieces whose creator is not known are nobody's.
-- chart: bar x=creator y=items,views
SELECT
    creator,
    uniqExactIf(item, action = 'create') AS items,
    countIf(action = 'view') AS views,
    uniqExactIf(reader, action = 'view') AS readers,
    countIf(action IN ('like', 'comment', 'share')) AS reactions,
    if(views = 0, NULL, reactions / views) AS reactions_per_view
FROM
(
    SELECT if(a.action = 'create', a.person, made.creator) AS creator, a.person AS reader, a.item AS item, a.action AS action
    FROM
    (
        SELECT person, item, action FROM content_actions
        WHERE item != '' AND day BETWEEN {from:Date} AND {to:Date}
            AND toDate(ts) BETWEEN {from:Date} - 1 AND {to:Date} + 1
    ) AS a
    LEFT JOIN content_made AS made ON made.item = a.item
)
WHERE creator != ''
GROUP BY creator
ORDER BY items DESC, views DESC, creator
LIMIT {limit:UInt32}
