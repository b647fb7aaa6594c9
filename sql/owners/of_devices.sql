-- Whose an id is where only devices are linked: one link leads to the person. Rows that stand twice change nothing here, so
-- there is no FINAL; in the order of the table the first row of an id costs next to nothing.
SELECT l.id AS id, l.person AS person, l.id IN (SELECT id FROM links_raw WHERE outcome = 'shared') AS is_shared
FROM
(
    SELECT id, person FROM links_raw WHERE outcome = 'linked'
    ORDER BY id, ts, stream, partition, offset
    LIMIT 1 BY id
) AS l
