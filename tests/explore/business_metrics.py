"""Metrics of revenue, campaigns, surveys and content whose numbers lead to people, and events that make them differ."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

from metrics.world import Event, event

from explore.test_by_another_way import Done

#: Arguments besides the days, and the columns whose numbers lead to people.
BUSINESS_ASKED: list[tuple[str, dict[str, Any], set[str]]] = [
    (
        "campaign_compare",
        {"until": date(2026, 11, 5)},
        {"participants", "buyers", "before_participants", "before_buyers"},
    ),
    ("invitations", {"period": "week"}, {"inviters", "came", "active_users"}),
    ("invitation_chains", {}, {"users"}),
    ("top_inviters", {}, {"brought", "buyers"}),
    ("revenue_by", {"dimension": "properties.coupon"}, {"buyers"}),
    ("repeat_purchase", {}, {"buyers", "repeat_buyers", "returning_buyers"}),
    ("rfm_segments", {}, {"users"}),
    ("sessions_daily", {}, {"users"}),
    ("ad_revenue", {}, {"viewers"}),
    ("coupon_use", {}, {"users"}),
    ("survey_response", {}, {"shown", "answered", "answered_unasked"}),
    ("content_daily", {}, {"readers", "creators"}),
    ("content_ranking", {}, {"readers"}),
    ("content_creators", {}, {"readers"}),
    ("content_by_age", {}, {"readers"}),
    # Of a user's answers to each survey the last counts: with several surveys they are not people.
    ("nps", {"period": "week"}, set()),
]
#: Of these also under a filter.
BUSINESS_FILTERED = ("campaign_compare", "invitation_chains", "top_inviters", "repeat_purchase", "content_creators")


def business_events(found: Sequence[Done]) -> list[Event]:
    """Everybody invites; most of them were invited, are asked, answers, writes, reads and buys with a coupon."""
    firsts: dict[str, Done] = {}
    for one in found:
        if one.person not in firsts or one.at < firsts[one.person].at:
            firsts[one.person] = one
    # Takes part and buys nothing.
    told = [event("onlooker", "joinsale", "2026-11-04 10:00", {"sale": "check-in"}, platform="ios")]
    for k, first in enumerate(firsts[person] for person in sorted(firsts)):
        platform = "ios" if k % 5 < 3 else first.platform

        def did(name: str, hours: int, by: Done = first, platform: str = platform, **properties: Any) -> None:
            at = (by.at + timedelta(hours=hours)).isoformat()
            told.append(event(by.person, name, at, properties, platform=platform))

        did("invite", 1, invite=f"i{k}")
        if k % 5:
            did("accept", 2 if k % 3 else 290, invite=f"i{0 if k % 4 == 1 else k - 1 if k % 2 else k - 2}")
        if k % 3:
            did("ask", 3, survey=("nps", "")[k % 2])
        if k % 4:
            did("answer", 4 if k % 7 else 2, survey=("nps", "")[k % 2], score=k % 11)
        if k % 4 == 0:
            did("write", 5, item=f"piece {k}")
            did("look", 5, item_id=f"piece {k}")
        for n, hours in enumerate((30, 60, 120, 400)):
            did("look", hours, item_id=("old", f"piece {(k + n) // 4 * 4}", "", f"piece {n * 4}")[(k + n) % 4])
        for hours in (6, 300)[: k % 3]:
            did("buy", hours, amount=k, order_id="one" if k % 3 else "", coupon=("SPRING", "' OR 1", " ")[k % 4 % 3])
    return told
