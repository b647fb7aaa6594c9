"""The people behind the metrics of revenue, segments, campaigns, experiments, satisfaction and content."""

from __future__ import annotations

from typing import Final

from pipeline.explore.metric_view import MetricPeople

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
}
