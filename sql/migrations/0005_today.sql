-- The day so far against the day before at the same time: as long after the day's beginning. "Now" is the largest event
-- time of the stream. Today's users are the live window's estimate, yesterday's are counted from the raw events; where
-- there is no window of yesterday, its columns are NULL.
CREATE OR REPLACE VIEW live_today AS
WITH
    days AS
    (
        SELECT stream, start, end, events, amount, users
        FROM live_activity
        WHERE grain = 'day' AND dimension = ''
    ),
    latest AS (SELECT stream, max(start) AS day FROM days GROUP BY stream),
    pairs AS
    (
        SELECT
            t.stream AS stream,
            t.start AS day,
            n.watermark AS until,
            t.events AS events,
            t.amount AS amount,
            t.users AS users,
            y.start AS yesterday,
            y.stream != '' AS has_yesterday,
            fromUnixTimestamp64Milli(least(
                toUnixTimestamp64Milli(y.start) + toUnixTimestamp64Milli(n.watermark) - toUnixTimestamp64Milli(t.start),
                toUnixTimestamp64Milli(y.end) - 1), 'UTC') AS yesterday_until
        FROM days AS t
        INNER JOIN latest AS l ON l.stream = t.stream AND l.day = t.start
        INNER JOIN live_now AS n ON n.stream = t.stream
        LEFT JOIN days AS y ON y.stream = t.stream AND y.end = t.start
    ),
    before AS
    (
        SELECT
            p.stream AS stream,
            countIf(e.ts <= p.yesterday_until) AS events,
            sumIf(e.value, e.ts <= p.yesterday_until) AS amount,
            uniqExactIf(e.actor, e.ts <= p.yesterday_until) AS users
        FROM events_raw AS e FINAL
        INNER JOIN (SELECT * FROM pairs WHERE has_yesterday) AS p ON p.stream = e.stream
        WHERE NOT e.late
            AND e.ts >= (SELECT min(yesterday) FROM pairs WHERE has_yesterday)
            AND e.ts <= (SELECT max(yesterday_until) FROM pairs WHERE has_yesterday)
            AND e.ts >= p.yesterday
        GROUP BY p.stream
    )
SELECT
    p.stream AS stream,
    p.day AS day,
    p.until AS until,
    p.events AS events,
    p.amount AS amount,
    p.users AS users,
    if(p.has_yesterday, p.yesterday_until, NULL) AS yesterday_until,
    if(p.has_yesterday, b.events, NULL) AS yesterday_events,
    if(p.has_yesterday, b.amount, NULL) AS yesterday_amount,
    if(p.has_yesterday, b.users, NULL) AS yesterday_users
FROM pairs AS p
LEFT JOIN before AS b ON b.stream = p.stream;
