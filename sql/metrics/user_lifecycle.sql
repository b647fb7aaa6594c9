-- title: User lifecycle by day
-- group: activity
-- definition: The active users of a day, parted into new (first event ever), returning (active within the dormant days
--   before) and resurrected (back after longer); and the users who became dormant that day.
-- formula: by the days since the user's active day before d. None: new. d <= dormant: returning. d > dormant: resurrected.
--   dormant: users whose last active day was dormant + 1 days ago. quick_ratio = (new + resurrected) / dormant
-- grain: one row a day, days without events too
-- parameters:
--   from Date = today - 29: first day, inclusive
--   to Date = today: last day, inclusive
-- example: SELECT * FROM user_lifecycle(from = '2026-11-01', to = '2026-11-30')
-- mistakes: New means the first event, not the registration (new_users). Who comes back on the very day on which they
--   would become dormant counts as both dormant and resurrected. Events older than the retention of raw events are gone,
--   and their users look new.
-- chart: line x=day y=new,returning,resurrected,dormant
WITH (SELECT dormant_days FROM thresholds) AS dormant_after
SELECT
    toDate(days.day) AS day,
    sum(m.active) AS users,
    sum(m.new) AS new,
    sum(m.returning) AS returning,
    sum(m.resurrected) AS resurrected,
    sum(m.dormant) AS dormant,
    if(dormant = 0, NULL, (new + resurrected) / dormant) AS quick_ratio
FROM (SELECT arrayJoin(range(toUInt32({from:Date}), toUInt32({to:Date}) + 1)) AS day) AS days
LEFT JOIN
(
    SELECT
        move.1 AS day,
        countIf(move.2 != 'dormant') AS active,
        countIf(move.2 = 'new') AS new,
        countIf(move.2 = 'returning') AS returning,
        countIf(move.2 = 'resurrected') AS resurrected,
        countIf(move.2 = 'dormant') AS dormant
    FROM
    (
        SELECT
            toUInt32(min(day)) AS first,
            -- Older days make no difference but for the first one of all.
            arraySort(groupUniqArrayIf(toUInt32(day), day >= {from:Date} - dormant_after - 1)) AS days,
            arrayConcat(
                arrayMap((d, i) -> (d, multiIf(
                    d = first, 'new',
                    i > 1 AND d - days[i - 1] <= dormant_after, 'returning',
                    'resurrected')), days, arrayEnumerate(days)),
                arrayMap(d -> (toUInt32(d + dormant_after + 1), 'dormant'), arrayFilter(
                    (d, i) -> i = length(days) OR days[i + 1] - d > dormant_after, days, arrayEnumerate(days)))
            ) AS moves
        FROM activity
        WHERE day <= {to:Date} AND toDate(ts) <= {to:Date} + 1
        GROUP BY person
    )
    ARRAY JOIN moves AS move
    GROUP BY day
) AS m ON m.day = days.day
GROUP BY days.day
ORDER BY day
