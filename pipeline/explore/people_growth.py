"""The people behind the metrics of acquisition, activation, retention and conversion."""

from __future__ import annotations

from typing import Final

from pipeline.explore.metric_view import MetricPeople

#: New users of a channel who have had `days` days.
_NEW_IN_TIME: Final = MetricPeople(
    "users",
    ("channel",),
    "first_day BETWEEN {from} AND least({to}, {until} - {days}) AND channel = {of_channel}",
    {"new_users": "1"},
)
_COHORT: Final = (
    "toDate(multiIf({period} = 'month', toStartOfMonth(assumeNotNull(joined_day)), "
    "{period} = 'week', toMonday(assumeNotNull(joined_day)), assumeNotNull(joined_day)))"
)
_NAMES: Final = "(SELECT names FROM event_names)"
#: Users, each with when it was activated (`at`).
_ACTIVATED: Final = (
    "users AS u LEFT JOIN (SELECT person, toNullable(min(ts)) AS at FROM activations GROUP BY person) AS a "
    "ON a.person = u.person"
)
_FUNNEL_USERS: Final = "funnel_users(from = {from}, to = {to}, steps = {steps}, within = {within}, dimension = '')"
#: The last day whose users have had the window of a funnel.
_HAD_TIME: Final = "least({to}, {until} - intDiv({within} + 86399, 86400))"

GROWTH: Final[dict[str, MetricPeople]] = {
    "new_users": MetricPeople(
        "users",
        ("day", "channel", "campaign"),
        "channel = {of_channel} AND campaign = {of_campaign}",
        {"new": "first_day = {of_day}", "registered": "joined_day = {of_day}"},
    ),
    "retention_by": MetricPeople(
        "users_by(dimension = {dimension}, return_event = {return_event})",
        ("value", "n"),
        "by = {of_value} AND joined_day BETWEEN {from} AND {to} AND joined_day + {of_n} <= {until}",
        {
            "users": "1",
            "classic": "has(active_days, assumeNotNull(joined_day) + {of_n})",
            "rolling": "arrayExists(d -> d >= assumeNotNull(joined_day) + {of_n} AND d <= {until}, active_days)",
        },
    ),
    # Users and `classic` are asked of Explore.
    "retention": MetricPeople(
        f"(SELECT person, {_COHORT} AS cohort, arrayFilter(d -> d >= joined_day AND d <= {{to}}, active_days) AS days, "
        "toUInt32(dateDiff(if({period} = 'month', 'month', 'day'), cohort, arrayMax(days)) "
        "/ if({period} = 'week', 7, 1)) AS last "
        "FROM users WHERE joined_day BETWEEN {from} AND {to} AND notEmpty(days))",
        ("cohort", "n"),
        "toString(cohort) = {of_cohort}",
        {"rolling": "last >= {of_n}"},
    ),
    "retention_bracket": MetricPeople(
        "users_by(dimension = {dimension}, return_event = {return_event})",
        ("value", "first", "last"),
        "by = {of_value} AND joined_day BETWEEN {from} AND {to} AND joined_day + {of_last} <= {until}",
        {
            "users": "1",
            "active": "arrayExists(d -> d >= assumeNotNull(joined_day) + {of_first} "
            "AND d <= assumeNotNull(joined_day) + {of_last}, active_days)",
        },
    ),
    "active_days_distribution": MetricPeople(
        "(SELECT person, uniqExact(day) AS days FROM activity WHERE day BETWEEN {from} AND {to} "
        "AND toDate(ts) BETWEEN {from} - 1 AND {to} + 1 GROUP BY person)",
        ("days",),
        "days = {of_days}",
        {"users": "1"},
    ),
    "acquisition_by_channel": MetricPeople(
        "(SELECT u.person AS person, channel, if({by_campaign} = 1, campaign, '') AS part, "
        "arrayMap(d -> d.2, arrayFilter(d -> d.1 >= first_seen "
        "AND d.1 < first_seen + toIntervalDay({days}), did.deeds)) "
        "AS whats FROM users AS u "
        "LEFT ANY JOIN (SELECT person, groupArray((ts, kind)) AS deeds FROM milestones "
        "WHERE toDate(ts) BETWEEN {from} - 1 AND {to} + {days} + 1 GROUP BY person) AS did ON did.person = u.person "
        "WHERE first_day BETWEEN {from} AND least({to}, {until} - {days}))",
        ("channel", "campaign"),
        "channel = {of_channel} AND part = {of_campaign}",
        {
            "users": "1",
            "registered": "has(whats, 'registration')",
            "activated": "has(whats, 'activation')",
            "paid": "has(whats, 'payment')",
        },
    ),
    "acquisition_cost": MetricPeople(
        "(SELECT u.person AS person, channel, if({by_campaign} = 1, campaign, '') AS part, "
        "joined_day IS NOT NULL AND joined_day <= {to} AS is_registered, paid.payments > 0 AS has_paid FROM users AS u "
        "LEFT ANY JOIN (SELECT person, countIf(kind = 'payment') AS payments FROM money "
        "WHERE day BETWEEN {from} AND {to} AND toDate(ts) BETWEEN {from} - 1 AND {to} + 1 GROUP BY person) AS paid "
        "ON paid.person = u.person WHERE first_day BETWEEN {from} AND {to})",
        ("channel", "campaign"),
        "channel = {of_channel} AND part = {of_campaign}",
        {"new_users": "1", "registered": "is_registered", "paying": "has_paid"},
    ),
    "channel_quality": _NEW_IN_TIME,
    "ltv_cac": _NEW_IN_TIME,
    "payback": MetricPeople(
        "users", ("channel",), "first_day BETWEEN {from} AND {to} AND channel = {of_channel}", {"users": "1"}
    ),
    "ltv": MetricPeople(
        f"(SELECT person, {_COHORT} AS cohort FROM users WHERE joined_day BETWEEN {{from}} AND {{to}})",
        ("cohort",),
        "toString(cohort) = {of_cohort}",
        {"users": "1"},
    ),
    "activation": MetricPeople(
        f"(SELECT u.person AS person, joined_day, at IS NOT NULL AND at < joined + toIntervalDay({{days}}) AS in_time "
        f"FROM {_ACTIVATED} WHERE joined_day BETWEEN {{from}} AND {{to}})",
        ("day",),
        "joined_day = {of_day}",
        {"users": "1", "activated": "in_time"},
    ),
    "activation_time": MetricPeople(
        "(SELECT u.person AS person, multiIf(at IS NULL, 'not yet', at < joined + toIntervalHour(1), '1 hour', "
        "at < joined + toIntervalDay(1), '1 day', at < joined + toIntervalDay(3), '3 days', "
        f"at < joined + toIntervalDay(7), '7 days', 'later') AS span FROM {_ACTIVATED} "
        "WHERE joined_day BETWEEN {from} AND least({to}, {until} - 7))",
        ("within",),
        "span = {of_within}",
        {"users": "1"},
    ),
    "onboarding": MetricPeople(
        "(SELECT person, "
        "arrayMap(d -> d.1, arrayFilter(d -> d.2 < assumeNotNull(joined) + toIntervalDay({days}), firsts)) AS done, "
        "(SELECT length(names) FROM onboarding_steps) AS steps FROM onboarding_users "
        "WHERE joined_day BETWEEN {from} AND least({to}, {until} - {days}))",
        ("step",),
        "1",
        {"joined": "1", "users": "if({of_step} = 0, length(done) = steps, has(done, {of_step}))"},
    ),
    "conversion_time": MetricPeople(
        "(SELECT person, greatest(1, ceil((chain[-1] - chain[1]) / greatest({within} * 100, 1))) AS tenth "
        f"FROM {_FUNNEL_USERS} WHERE level = length({{steps}}))",
        ("up_to_seconds",),
        "tenth * {within} / 10 = toFloat64OrZero({of_up_to_seconds})",
        {"users": "1"},
    ),
    "funnel_compare": MetricPeople(
        f"(SELECT person, level, 1 AS is_now FROM {_FUNNEL_USERS.replace('{to}', _HAD_TIME)} UNION ALL "
        "SELECT person, level, 0 FROM "
        + _FUNNEL_USERS.replace("{from}", "{compare_from}").replace("{to}", f"{{compare_to}} - ({{to}} - {_HAD_TIME})")
        + ")",
        ("step",),
        "level >= {of_step}",
        {"users": "is_now", "compare_users": "NOT is_now"},
    ),
    "instead_of": MetricPeople(
        f"(SELECT person, length(path) + 1 - indexOf(arrayReverse(path), indexOf({_NAMES}, {{step}})) AS at, "
        "arrayPushBack(path, 0)[at + 1] AS number FROM session_paths(from = {from}, to = {to}, collapse = 1) "
        f"WHERE has(path, indexOf({_NAMES}, {{step}})) "
        f"AND NOT has(arraySlice(path, at + 1), indexOf({_NAMES}, {{next}})))",
        ("event",),
        f"if(number = 0, '(end)', {_NAMES}[number]) = {{of_event}}",
        {"users": "1"},
    ),
    "transitions": MetricPeople(
        "(SELECT person, arrayJoin(arrayZip(arrayPushFront(path, 0), arrayPushBack(path, 0))) AS pair "
        "FROM session_paths(from = {from}, to = {to}, collapse = {collapse}))",
        ("event", "next"),
        f"if(pair.1 = 0, '(start)', {_NAMES}[pair.1]) = {{of_event}} "
        f"AND if(pair.2 = 0, '(end)', {_NAMES}[pair.2]) = {{of_next}}",
        {"users": "1"},
    ),
}
