"""The people behind the metrics of acquisition, activation, retention and conversion."""

from __future__ import annotations

from typing import Final

from pipeline.explore.metric_view import MetricPeople

GROWTH: Final[dict[str, MetricPeople]] = {
    "new_users": MetricPeople(
        "users",
        ("day", "channel", "campaign"),
        "channel = {of_channel} AND campaign = {of_campaign}",
        {"new": "toString(first_day) = {of_day}", "registered": "toString(joined_day) = {of_day}"},
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
}
