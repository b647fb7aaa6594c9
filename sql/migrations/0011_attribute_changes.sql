-- What is done to an attribute besides setting it: added to, appended to, taken away. A change is kept as what it is,
-- for whoever sends it doesn't know what was there, and may send it twice.
CREATE TABLE IF NOT EXISTS attribute_changes_raw
(
    actor String COMMENT 'user_id, or $device: and the anonymous_id of a visitor',
    name LowCardinality(String) COMMENT 'name of the attribute, empty for a change of all of them',
    change_id String COMMENT 'the same whenever the change is told again',
    change LowCardinality(String) COMMENT 'add, append, prepend, union, union_first, remove, unset, clear',
    value String COMMENT 'what it is changed by: a number, or a JSON list',
    ts DateTime64(3, 'UTC') COMMENT 'time of the change',
    stored_at DateTime64(3, 'UTC') COMMENT 'when the row was stored'
)
ENGINE = ReplacingMergeTree(stored_at)
ORDER BY (actor, name, change_id)
COMMENT 'changes of attributes; read the view user_attributes';

-- Of an id with changes: what was set (kept is the last setting) and the changes, in the order of their times. What
-- only the first telling sets has a version in 2000 that counts backwards from the year 2200 in seconds: of a change in
-- the same second it is taken for the earlier one. A list keeps its last 1,000 elements, for strangers append to it.
CREATE OR REPLACE VIEW changed_attributes AS
WITH
    changed AS (SELECT actor, name, change_id, change, value, ts FROM attribute_changes_raw FINAL),
    told AS
    (
        SELECT
            actor, name, value,
            imported_at < fromUnixTimestamp64Milli(946684800000 + intDiv(7258118400000 - 946684800000, 1000) + 1) AS once,
            if(once, 7258118400000 - 999 - (toUnixTimestamp64Milli(imported_at) - 946684800000) * 1000,
               toUnixTimestamp64Milli(imported_at)) AS at
        FROM user_attributes_raw FINAL
        WHERE actor IN (SELECT actor FROM changed)
    ),
    steps AS
    (
        SELECT actor, name, at, '' AS id, if(once, 'first', 'set') AS change, value FROM told
        UNION ALL
        SELECT actor, name, toUnixTimestamp64Milli(ts), change_id, toString(change), value FROM changed WHERE name != ''
        UNION ALL
        -- What clears all attributes clears each.
        SELECT c.actor, n.name, toUnixTimestamp64Milli(c.ts), c.change_id, 'clear', ''
        FROM changed AS c
        INNER JOIN
        (
            SELECT actor, name FROM told UNION DISTINCT SELECT actor, name FROM changed WHERE name != ''
        ) AS n ON n.actor = c.actor
        WHERE c.name = ''
    )
SELECT actor, name, folded.1 = 1 AS is_there, folded.2 AS value
FROM
(
    SELECT actor, name, arrayFold(
        (had, step) -> multiIf(
            step.3 IN ('unset', 'clear'), (0, ''),
            step.3 = 'set', (1, step.4),
            step.3 = 'first', if(had.1 = 1, had, (1, step.4)),
            step.3 = 'add', (1, toString(toFloat64OrZero(had.2) + toFloat64OrZero(step.4))),
            step.3 = 'remove' AND had.1 = 0, had,
            (1, concat('[', arrayStringConcat(arraySlice(
                arrayMap(
                    (list, by) -> multiIf(
                        step.3 = 'append', arrayConcat(list, by),
                        step.3 = 'prepend', arrayConcat(by, list),
                        step.3 = 'union', arrayConcat(list, arrayFilter(one -> NOT has(list, one), arrayDistinct(by))),
                        step.3 = 'union_first', arrayConcat(arrayFilter(one -> NOT has(list, one), arrayDistinct(by)), list),
                        arrayFilter(one -> NOT has(by, one), list)),
                    [multiIf(
                        had.1 = 0, [],
                        startsWith(had.2, '[') AND isValidJSON(had.2), JSONExtractArrayRaw(had.2),
                        [if(isValidJSON(had.2), had.2, toJSONString(had.2))])],
                    [JSONExtractArrayRaw(step.4)])[1], -1000),
                ','), ']'))),
        arraySort(step -> (step.1, step.2), groupArray((at, id, change, value))),
        (0, '')) AS folded
    FROM steps
    GROUP BY actor, name
);

CREATE OR REPLACE VIEW user_attributes AS
SELECT u.actor AS actor, u.name AS name, u.value AS value, if(o.person = '', u.actor, o.person) AS person
FROM
(
    SELECT actor, name, value FROM user_attributes_raw FINAL
    WHERE actor NOT IN (SELECT actor FROM attribute_changes_raw)
    UNION ALL
    SELECT actor, name, value FROM changed_attributes WHERE is_there
) AS u
LEFT ANY JOIN owners AS o ON o.id = u.actor;
