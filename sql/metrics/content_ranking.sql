-- title: Content ranking
-- title_zh: 内容排行
-- group: content
-- definition: The most viewed pieces of content of the period: readers, completion and what readers did with them.
-- definition_zh: 统计期内浏览最多的内容：浏览量、读者数、完读率、点赞 / 评论 / 分享率与发布天数。
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
            uniqExactIf(actor, action = 'view') AS readers,
            length(arrayIntersect(groupUniqArrayIf(actor, action = 'view'), groupUniqArrayIf(actor, action = 'complete')))
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
    ),
    made AS
    (
        SELECT item, any(title) AS title, argMinIf(creator, published, creator != '') AS made_by, min(published) AS made_at
        FROM
        (
            SELECT item, '' AS title, actor AS creator, ts AS published FROM content_actions
            WHERE action = 'create' AND item IN (SELECT item FROM acted)
            UNION ALL
            SELECT item, title, creator, published FROM content_items WHERE item IN (SELECT item FROM acted)
        )
        GROUP BY item
    )
SELECT
    acted.item AS item,
    i.title AS title,
    if(i.creator != '', i.creator, made.made_by) AS creator,
    acted.views AS views,
    acted.readers AS readers,
    if(readers = 0, NULL, acted.finished / readers) AS completion_rate,
    if(views = 0, NULL, acted.likes / views) AS like_rate,
    if(views = 0, NULL, acted.comments / views) AS comment_rate,
    if(views = 0, NULL, acted.shares / views) AS share_rate,
    if(made.item = '', NULL, dateDiff('day', toDate(made.made_at, (SELECT timezone FROM thresholds)), {to:Date})) AS age_days
FROM acted
LEFT JOIN made ON made.item = acted.item
LEFT JOIN content_items AS i ON i.item = acted.item
ORDER BY views DESC, item
