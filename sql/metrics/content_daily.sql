-- title: Content by day
-- group: content
-- definition: Views and readers of all content, how many pieces were read to the end, what readers did with them, and who
--   made new ones.
-- formula: completion_rate = pieces that a reader both opened and finished on the day / pieces that a reader opened (each
--   once a reader); like_rate, comment_rate, share_rate = likes, comments, shares / views
-- grain: one row a day, days without content too
-- parameters:
--   from Date = today - 29: first day, inclusive
--   to Date = today: last day, inclusive
-- example: SELECT * FROM content_daily(from = '2026-11-01', to = '2026-11-30')
-- mistakes: What is opened before midnight and finished after it is not complete on either day. Readers can't be added up
--   over days. A rate over views falls when the same readers open the same piece more often.
-- chart: line x=day y=views,readers
SELECT
    toDate(days.day) AS day,
    c.views AS views,
    c.readers AS readers,
    if(c.readers = 0, NULL, c.views / c.readers) AS views_per_reader,
    if(c.opened = 0, NULL, c.finished / c.opened) AS completion_rate,
    if(c.views = 0, NULL, c.likes / c.views) AS like_rate,
    if(c.views = 0, NULL, c.comments / c.views) AS comment_rate,
    if(c.views = 0, NULL, c.shares / c.views) AS share_rate,
    c.creators AS creators,
    c.created AS created
FROM (SELECT arrayJoin(range(toUInt32({from:Date}), toUInt32({to:Date}) + 1)) AS day) AS days
LEFT JOIN
(
    SELECT
        at,
        sum(views_) AS views,
        uniqExactIf(person, views_ > 0) AS readers,
        countIf(views_ > 0) AS opened,
        countIf(views_ > 0 AND completions_ > 0) AS finished,
        sum(likes_) AS likes,
        sum(comments_) AS comments,
        sum(shares_) AS shares,
        uniqExactIf(person, created_ > 0) AS creators,
        sum(created_) AS created
    FROM
    (
        SELECT
            toUInt32(day) AS at,
            person,
            item,
            countIf(action = 'view') AS views_,
            countIf(action = 'complete') AS completions_,
            countIf(action = 'like') AS likes_,
            countIf(action = 'comment') AS comments_,
            countIf(action = 'share') AS shares_,
            toUInt64(countIf(action = 'create') > 0) AS created_
        FROM content_actions
        WHERE day BETWEEN {from:Date} AND {to:Date} AND toDate(ts) BETWEEN {from:Date} - 1 AND {to:Date} + 1
            AND item != ''
        GROUP BY at, person, item
    )
    GROUP BY at
) AS c ON c.at = days.day
ORDER BY day
