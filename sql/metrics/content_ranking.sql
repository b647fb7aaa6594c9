-- title: Content ranking
-- group: content
-- definition: The most viewed pieces of content of the period: readers, completion and what readers did with them.
-- formula: completion_rate = readers who finished it / readers who opened it; rates of likes, comments, shares over views;
--   age_days: days from its publication to the last day
-- grain: one row a piece
-- parameters:
--   from Date = today - 29: first day, inclusive
--   to Date = today: last day, inclusive
--   limit UInt32 = 20: so many pieces
-- example: SELECT * FROM content_ranking(from = '2026-11-01', to = '2026-11-30', limit = 20)
-- mistakes: Old pieces have had the same days as new ones here, but not the same push: compare within an age
--   (content_by_age). Titles and creators come from `streamgauge import content`, else from the event that made the piece.
-- chart: bar x=item y=views
WITH
    acted AS
    (
        SELECT
            item,
            countIf(action = 'view') AS views,
            uniqExactIf(person, action = 'view') AS readers,
            length(arrayIntersect(groupUniqArrayIf(person, action = 'view'), groupUniqArrayIf(person, action = 'complete')))
                AS finished,
            countIf(action = 'like') AS likes,
            countIf(action = 'comment') AS comments,
            countIf(action = 'share') AS shares
        FROM content_actions
        WHERE day BETWEEN {from:Date} AND {to:Date} AND toDate(ts) BETWEEN {from:Date} - 1 AND {to:Date} + 1
            AND item != '' AND action != 'create'
        GROUP BY item
        ORDER BY views DESC, item
        LIMIT {limit:UInt32}
    )
SELECT
    acted.item AS item,
    made.title AS title,
    made.creator AS creator,
    acted.views AS views,
    acted.readers AS readers,
    if(readers = 0, NULL, acted.finished / readers) AS completion_rate,
    if(views = 0, NULL, acted.likes / views) AS like_rate,
    if(views = 0, NULL, acted.comments / views) AS comment_rate,
    if(views = 0, NULL, acted.shares / views) AS share_rate,
    if(made.item = '', NULL, {to:Date} - made.published_day) AS age_days
FROM acted
LEFT JOIN content_made AS made ON made.item = acted.item
ORDER BY views DESC, item
