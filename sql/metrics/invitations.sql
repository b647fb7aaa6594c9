-- title: Invitations and k-factor
-- group: campaigns
-- definition: Invitations sent in the period, how many of those were accepted until now, and how many new users an active
--   user brings by them (k-factor).
-- formula: acceptance_rate = invitations of the period that were accepted / sent; k_factor = invites_per_user *
--   acceptance_rate, where invites_per_user = sent / active users. came: users who accepted in the period
-- grain: one row a period in which something was sent or accepted
-- parameters:
--   from Date = today - 29: first day, inclusive
--   to Date = today: last day, inclusive
--   period String = week (one of day, week, month): length of a period
--   days UInt16 = 7: how long an invitation has, before it is called not accepted
--   until Date = today - 1: last day of what counts, inclusive: the last one that is over
-- example: SELECT * FROM invitations(from = '2026-11-01', to = '2026-11-30', period = 'week', days = 7, until = '2026-12-07')
-- mistakes: Of periods whose invitations have not all had `days` days by the end of `until`, what was accepted and its
--   rates are NULL: young invitations are not refused. Older ones have had longer than `days`. A k-factor holds for the
--   length of its period: that of a week can't be compared with that of a month. Without an invite_id in the plan,
--   nothing says which invitation was accepted: accepted is 0, came is not.
-- chart: line x=period y=k_factor
WITH
    accepted AS
    (
        SELECT invite_id, person,
            toDate(multiIf({period:String} = 'month', toStartOfMonth(day), {period:String} = 'week', toMonday(day), day))
                AS at, day
        FROM invites_accepted
    ),
    events AS
    (
        SELECT
            toDate(multiIf({period:String} = 'month', toStartOfMonth(day), {period:String} = 'week', toMonday(day), day))
                AS at,
            1 AS sent,
            toUInt8(invite_id != '' AND invite_id IN (SELECT invite_id FROM accepted)) AS taken,
            person AS inviter,
            '' AS guest
        FROM invites
        WHERE day BETWEEN {from:Date} AND {to:Date} AND toDate(ts) BETWEEN {from:Date} - 1 AND {to:Date} + 1
        UNION ALL
        SELECT at, 0, 0, '', person FROM accepted WHERE day BETWEEN {from:Date} AND {to:Date}
    ),
    active AS
    (
        SELECT
            toDate(multiIf({period:String} = 'month', toStartOfMonth(day), {period:String} = 'week', toMonday(day), day))
                AS at,
            uniqExact(person) AS users
        FROM activity
        WHERE day BETWEEN {from:Date} AND {to:Date} AND toDate(ts) BETWEEN {from:Date} - 1 AND {to:Date} + 1
        GROUP BY at
    )
SELECT * EXCEPT had_time FROM
(
SELECT
    events.at AS period,
    sum(events.sent) AS sent,
    uniqExactIf(events.inviter, events.sent = 1) AS inviters,
    multiIf({period:String} = 'month', toLastDayOfMonth(period), {period:String} = 'week', period + 6, period)
        + {days:UInt16} <= {until:Date} AS had_time,
    if(had_time OR sent = 0, sum(events.taken), NULL) AS accepted,
    if(sent = 0, NULL, accepted / sent) AS acceptance_rate,
    uniqExactIf(events.guest, events.sent = 0) AS came,
    any(active.users) AS active_users,
    if(active_users = 0, NULL, sent / active_users) AS invites_per_user,
    if(active_users = 0, NULL, accepted / active_users) AS k_factor
FROM events
LEFT JOIN active ON active.at = events.at
GROUP BY events.at
)
ORDER BY period
