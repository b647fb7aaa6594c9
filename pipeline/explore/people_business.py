"""The people behind the metrics of revenue, segments, campaigns, experiments, satisfaction and content."""

from __future__ import annotations

from typing import Final

from pipeline.explore.metric_view import MetricPeople

#: Of the days asked for, as the metrics have it: `day` in the plan's zone, `ts` for what needs not be read.
_DAYS: Final = "day BETWEEN {from} AND {to} AND toDate(ts) BETWEEN {from} - 1 AND {to} + 1"
_PERIOD: Final = "multiIf({period} = 'month', toStartOfMonth(day), {period} = 'week', toMonday(day), day)"
#: The operation (side 1) and the one before it (2): name, first and last day that counts.
_SIDES: Final = """
    (SELECT groupArrayArray([
        (name, starts, least(ends, {until})),
        (other.1, other.2, if(ends <= {until}, other.3, least(other.3, other.2 + toInt32({until} - starts))))])
     FROM
     (
        SELECT a.name AS name, a.starts AS starts, a.ends AS ends,
            argMax((b.name, b.starts, b.ends), (b.ends, b.name)) AS other
        FROM campaigns AS a
        INNER JOIN campaigns AS b ON b.kind = a.kind
        WHERE a.name = {of_campaign} AND b.ends < a.starts AND a.starts <= least({to}, {until}) AND a.ends >= {from}
        GROUP BY name, starts, ends
     )) AS sides"""
_NEAR_SIDES: Final = "toDate(ts) BETWEEN sides[2].2 - 1 AND sides[1].3 + 1"

BUSINESS: Final[dict[str, MetricPeople]] = {
    "experiment_results": MetricPeople(
        "experiment_outcomes(from = {from}, to = {to}, experiment = {experiment}, goal = {goal})",
        ("experiment", "variant"),
        "experiment = {of_experiment} AND variant = {of_variant}",
        {"users": "1", "converted": "has_converted"},
    ),
    "experiment_allocation": MetricPeople(
        "experiment_users(from = {from}, to = {to}, experiment = {experiment})",
        ("experiment", "variant"),
        "experiment = {of_experiment} AND first_variant = {of_variant}",
        {"users": "1", "also_in_another": "in_several"},
    ),
    "campaign_results": MetricPeople(
        "campaign_people(from = {from}, to = {to}, until = {until})",
        ("campaign",),
        "name = {of_campaign}",
        {
            "participants": "part = 'participants'",
            "buyers": "part = 'participants' AND has_bought",
            "compared_users": "part != 'participants'",
        },
    ),
    "campaign_compare": MetricPeople(
        f"""(
    WITH {_SIDES}
    SELECT person, side, (person, side) IN
        (
            SELECT person, arrayJoin(arrayFilter((n, s) -> day BETWEEN s.2 AND s.3, arrayEnumerate(sides), sides))
            FROM payments
            WHERE {_NEAR_SIDES}
        ) AS has_bought
    FROM
    (
        SELECT DISTINCT person, arrayJoin(arrayFilter(
            (n, s) -> s.1 = participated AND day BETWEEN s.2 AND s.3, arrayEnumerate(sides), sides)) AS side
        FROM participations
        WHERE {_NEAR_SIDES}
    ))""",
        ("campaign",),
        "1",
        {
            "participants": "side = 1",
            "buyers": "side = 1 AND has_bought",
            "before_participants": "side = 2",
            "before_buyers": "side = 2 AND has_bought",
        },
    ),
    "invitations": MetricPeople(
        f"""(
    SELECT person, day, 'inviters' AS part FROM invites WHERE {_DAYS}
    UNION ALL SELECT person, day, 'came' FROM invites_accepted WHERE {_DAYS}
    UNION ALL SELECT person, day, 'active' FROM activity WHERE {_DAYS})""",
        ("period",),
        f"toString(toDate({_PERIOD})) = {{of_period}}",
        {"inviters": "part = 'inviters'", "came": "part = 'came'", "active_users": "part = 'active'"},
    ),
    "invitation_chains": MetricPeople(
        "invited_depths(from = {from}, to = {to})", ("depth",), "depth = {of_depth}", {"users": "1"}
    ),
    "top_inviters": MetricPeople(
        "invited(from = {from}, to = {to})",
        ("inviter",),
        "inviter = {of_inviter}",
        {
            "brought": "1",
            "buyers": f"""person IN
        (
            SELECT paid.person
            FROM (SELECT person, ts FROM payments WHERE {_DAYS}) AS paid
            INNER JOIN invited(from = {{from}}, to = {{to}}) AS i ON i.person = paid.person
            WHERE paid.ts >= i.came
        )""",
        },
    ),
    "revenue_by": MetricPeople(
        "payments_by(dimension = {dimension})", ("value",), f"by = {{of_value}} AND {_DAYS}", {"buyers": "1"}
    ),
    "repeat_purchase": MetricPeople(
        """(
    SELECT person, countIf(in_period) AS n, countIf(NOT in_period) > 0 AS before
    FROM
    (
        SELECT person, order_id, min(day) >= {from} AS in_period
        FROM payments
        WHERE day <= {to} AND toDate(ts) <= {to} + 1
        GROUP BY person, order_id
    )
    GROUP BY person
    HAVING n > 0)""",
        (),
        "1",
        {"buyers": "1", "repeat_buyers": "n >= 2", "returning_buyers": "before"},
    ),
    "rfm_segments": MetricPeople(
        "rfm_between(from = {from}, to = {to})", ("segment",), "segment = {of_segment}", {"users": "1"}
    ),
    "sessions_daily": MetricPeople(
        "sessions_between(from = {of_day}, to = {of_day})", ("day",), "{of_day} BETWEEN {from} AND {to}", {"users": "1"}
    ),
    "ad_revenue": MetricPeople("ad_impressions", ("day",), f"day = {{of_day}} AND {_DAYS}", {"viewers": "1"}),
    "coupon_use": MetricPeople("coupons", ("code",), f"code = {{of_code}} AND {_DAYS}", {"users": "1"}),
    "survey_response": MetricPeople(
        f"""(
    SELECT survey, person, minOrNullIf(ts, shows) AS shown_at, maxOrNullIf(ts, NOT shows) AS answered_at
    FROM
    (
        SELECT survey, person, ts, true AS shows FROM surveys_shown WHERE {_DAYS}
        UNION ALL SELECT survey, person, ts, false FROM survey_answers WHERE {_DAYS}
    )
    GROUP BY survey, person)""",
        ("survey",),
        "survey = {of_survey}",
        {
            "shown": "shown_at IS NOT NULL",
            "answered": "answered_at >= shown_at",
            "answered_unasked": "answered_at IS NOT NULL AND NOT ifNull(answered_at >= shown_at, 0)",
        },
    ),
    "content_daily": MetricPeople(
        "content_actions",
        ("day",),
        f"item != '' AND day = {{of_day}} AND {_DAYS}",
        {"readers": "action = 'view'", "creators": "action = 'create'"},
    ),
    "content_ranking": MetricPeople(
        "content_actions", ("item",), f"item = {{of_item}} AND {_DAYS}", {"readers": "action = 'view'"}
    ),
    "content_creators": MetricPeople(
        "content_actions",
        ("creator",),
        f"item IN (SELECT item FROM content_made WHERE creator = {{of_creator}}) AND {_DAYS}",
        {"readers": "action = 'view'"},
    ),
    "content_by_age": MetricPeople(
        f"""(
    SELECT v.person AS person, dateDiff('millisecond', made.published, v.ts) / 86400000 AS days,
        multiIf(made.item = '', 'unknown', days < 1, '0 to 1 day', days < 3, '1 to 3 days', days < 7, '3 to 7 days',
            days < 30, '7 to 30 days', 'over 30 days') AS age
    FROM (SELECT person, item, ts FROM content_actions WHERE action = 'view' AND item != '' AND {_DAYS}) AS v
    LEFT JOIN content_made AS made ON made.item = v.item)""",
        ("age",),
        "age = {of_age}",
        {"readers": "1"},
    ),
}
