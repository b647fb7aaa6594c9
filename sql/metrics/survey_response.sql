-- title: Survey response rate
-- group: satisfaction
-- definition: Of the users to whom a survey was shown in the period, how many answered it afterwards.
-- formula: response_rate = users who answered after being shown it, until the last day / users it was shown to;
--   median_seconds: from the first time it was shown to the answer
-- grain: one row a survey
-- parameters:
--   from Date = today - 29: first day, inclusive
--   to Date = today: last day, inclusive
-- example: SELECT * FROM survey_response(from = '2026-11-01', to = '2026-11-30')
-- mistakes: Those who answer are not like those who don't: a low rate makes every score doubtful. answered_unasked are
--   users whose answer comes without the survey having been shown in the period.
-- chart: bar x=survey y=response_rate
SELECT
    survey,
    countIf(shown_at IS NOT NULL) AS shown,
    countIf(answered_at >= shown_at) AS answered,
    if(shown = 0, NULL, answered / shown) AS response_rate,
    quantileExactInclusiveIf(0.5)(dateDiff('millisecond', shown_at, answered_at) / 1000, answered_at >= shown_at)
        AS median_seconds,
    countIf(answered_at IS NOT NULL AND NOT ifNull(answered_at >= shown_at, 0)) AS answered_unasked
FROM
(
    SELECT survey, person, minOrNullIf(ts, shows) AS shown_at, maxOrNullIf(ts, NOT shows) AS answered_at
    FROM
    (
        SELECT survey, person, ts, true AS shows FROM surveys_shown
        WHERE day BETWEEN {from:Date} AND {to:Date} AND toDate(ts) BETWEEN {from:Date} - 1 AND {to:Date} + 1
        UNION ALL
        SELECT survey, person, ts, false FROM survey_answers
        WHERE day BETWEEN {from:Date} AND {to:Date} AND toDate(ts) BETWEEN {from:Date} - 1 AND {to:Date} + 1
    )
    GROUP BY survey, person
)
GROUP BY survey
ORDER BY shown DESC, survey
