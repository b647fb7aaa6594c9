-- title: Net promoter score
-- group: satisfaction
-- definition: Which share of those who answered would recommend the product (9 or 10), less the share of those who
--   wouldn't (0 to 6), by period.
-- formula: nps = 100 * (promoters - detractors) / answers; nps_low, nps_high: 95 % interval of a difference of paired
--   shares with an answer added to either side (Bonett and Price 2012), within -100 and 100; margin: half of it. Of a user's answers in a period the last counts
-- grain: one row a period with answers
-- parameters:
--   from Date = today - 89: first day, inclusive
--   to Date = today: last day, inclusive
--   period String = week (one of day, week, month): length of a period
--   survey String = '': its name; empty: all surveys with scores
-- example: SELECT * FROM nps(from = '2026-09-01', to = '2026-11-30', period = 'week', survey = 'nps')
-- mistakes: Few answers move it by many points: look at the interval before telling a story. Only those who answer count: a
--   change of who is asked, or of the response rate, changes it, too. Scores outside of 0 to 10 are left out.
-- chart: line x=period y=nps
SELECT * EXCEPT (middle, spread) FROM
(
SELECT
    period,
    count() AS answers,
    countIf(last_score >= 9) AS promoters,
    countIf(last_score >= 7 AND last_score < 9) AS passives,
    countIf(last_score < 7) AS detractors,
    100 * (promoters - detractors) / answers AS nps,
    (promoters - detractors) / (answers + 2) AS middle,
    195.9963985 * sqrt(((promoters + detractors + 2) / (answers + 2) - middle * middle) / (answers + 2)) AS spread,
    -- With one promoter and one detractor more, as Bonett and Price have it: of few answers too it says how few they are.
    greatest(-100, 100 * middle - spread) AS nps_low,
    least(100, 100 * middle + spread) AS nps_high,
    (nps_high - nps_low) / 2 AS margin,
    avg(last_score) AS mean_score
FROM
(
    SELECT
        person,
        survey,
        toDate(multiIf({period:String} = 'month', toStartOfMonth(day), {period:String} = 'week', toMonday(day), day))
            AS period,
        argMax(score, ts) AS last_score
    FROM survey_answers
    WHERE day BETWEEN {from:Date} AND {to:Date} AND toDate(ts) BETWEEN {from:Date} - 1 AND {to:Date} + 1
        AND ({survey:String} = '' OR survey = {survey:String}) AND score BETWEEN 0 AND 10
    GROUP BY person, survey, period
)
GROUP BY period
)
ORDER BY period
