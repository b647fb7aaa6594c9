-- title: Net promoter score by dimension
-- group: satisfaction
-- definition: The net promoter score of the period, by a field of the answer.
-- formula: as nps; of a user's answers with one value of the dimension the last counts
-- grain: one row a value of the dimension
-- parameters:
--   from Date = today - 89: first day, inclusive
--   to Date = today: last day, inclusive
--   dimension String = platform: a field of the envelope, or properties.NAME
--   survey String = '': its name; empty: all surveys with scores
-- example: SELECT * FROM nps_by(from = '2026-09-01', to = '2026-11-30', dimension = 'platform', survey = 'nps')
-- mistakes: The parts have fewer answers than the whole, and so wider margins.
-- chart: bar x=by y=nps
SELECT * EXCEPT (middle, spread) FROM
(
SELECT
    by,
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
    (nps_high - nps_low) / 2 AS margin
FROM
(
    SELECT a.person AS person, a.survey AS survey, b.by AS by, argMax(a.score, a.ts) AS last_score
    FROM {database}.activity_by(dimension = {dimension:String}) AS b
    INNER JOIN
    (
        SELECT person, survey, score, ts, stream, partition, offset
        FROM survey_answers
        WHERE day BETWEEN {from:Date} AND {to:Date} AND toDate(ts) BETWEEN {from:Date} - 1 AND {to:Date} + 1
            AND ({survey:String} = '' OR survey = {survey:String}) AND score BETWEEN 0 AND 10
    ) AS a ON a.stream = b.stream AND a.partition = b.partition AND a.offset = b.offset
    WHERE toDate(b.ts) BETWEEN {from:Date} - 1 AND {to:Date} + 1
        AND b.event IN (SELECT DISTINCT event FROM survey_answers WHERE toDate(ts) BETWEEN {from:Date} - 1 AND {to:Date} + 1)
    GROUP BY person, survey, by
)
GROUP BY by
)
ORDER BY answers DESC, by
