"""Surveys, worked out by hand."""

from __future__ import annotations

from typing import Any

from metrics.world import World, event

NOVEMBER = {"from_": "2026-11-01", "to": "2026-11-30"}


def answered(actor: str, at: str, score: Any, survey: str = "nps", **fields: str) -> dict[str, Any]:
    return event(actor, "answer", at, {"survey": survey, "score": score}, **fields)


def shown(actor: str, at: str, survey: str = "nps") -> dict[str, Any]:
    return event(actor, "ask", at, {"survey": survey})


async def test_nps_and_its_trend(world: World) -> None:
    """Weeks begin on Monday, 2 and 9 November. First week: 10, 9, 8, 6, 0: 2 promoters, 2 detractors of 5."""
    await world.tell(
        [
            answered("z", "2026-11-01 23:59", 0),  # a Sunday: before the period
            answered("a", "2026-11-02 00:00", 10),
            answered("b", "2026-11-02 10:00", 9),
            answered("c", "2026-11-03 10:00", 8),
            answered("d", "2026-11-04 10:00", 10),
            answered("d", "2026-11-05 10:00", 6),  # changed her mind: the last counts
            answered("e", "2026-11-08 23:59", 0),
            answered("f", "2026-11-08 10:00", 11),  # not a score
            answered("g", "2026-11-08 10:00", None),
            answered("h", "2026-11-08 10:00", 7, survey="other"),
            answered("d", "2026-11-09 00:00", 9),
            answered("e", "2026-11-15 23:59", 10),
            answered("e", "2026-11-16 00:00", 0),
        ]
    )
    given = {"from_": "2026-11-02", "to": "2026-11-15", "survey": "nps"}
    # Of the first week: 195.996 * sqrt((6/7 - 0) / 7) on either side. Two promoters are no proof of a 100.
    assert await world.ask("nps", **given) == [
        ("2026-11-02", 5, 2, 1, 2, 0.0, -68.584453, 68.584453, 68.584453, 6.6),
        ("2026-11-09", 2, 2, 0, 0, 100.0, -34.86893, 100.0, 67.434465, 9.5),
    ]
    # In the month d and e count once each, with their last answer.
    assert await world.ask("nps", "period answers promoters passives detractors nps", **given, period="month") == [
        ("2026-11-01", 5, 4, 1, 0, 80.0)
    ]
    # All surveys: h's 7 is a passive answer.
    assert await world.ask("nps", "answers passives", from_="2026-11-02", to="2026-11-08") == [(6, 2)]
    assert await world.ask("nps", from_="2026-01-01", to="2026-01-31") == []


async def test_nps_by_a_field_of_the_answer(world: World) -> None:
    await world.tell(
        [
            answered("a", "2026-11-02 10:00", 10, platform="ios", country="DE"),
            answered("b", "2026-11-02 10:00", 6, platform="ios", country="FR"),
            answered("c", "2026-11-30 23:59", 9, platform="web", country="DE"),
            answered("d", "2026-12-01 00:00", 0, platform="web", country="DE"),
        ]
    )
    assert await world.ask("nps_by", "by nps_low nps_high", **NOVEMBER) == [
        ("ios", -97.998199, 97.998199),
        ("web", -73.353593, 100.0),
    ]
    columns = "by answers nps"
    assert await world.ask("nps_by", columns, **NOVEMBER) == [("ios", 2, 0.0), ("web", 1, 100.0)]
    assert await world.ask("nps_by", columns, **NOVEMBER, dimension="country") == [("DE", 2, 100.0), ("FR", 1, -100.0)]
    assert await world.ask("nps_by", columns, **NOVEMBER, dimension="properties.score") == [
        ("10", 1, 100.0),
        ("6", 1, -100.0),
        ("9", 1, 100.0),
    ]


async def test_response_rate(world: World) -> None:
    """Shown to a, b, c, d; a answers after 30 s (shown twice), b before, c after the period, d never; e unasked."""
    await world.tell(
        [
            shown("a", "2026-11-02T10:00:00+01:00"),
            shown("a", "2026-11-02T10:00:20+01:00"),
            answered("a", "2026-11-02T10:00:30+01:00", 3),
            answered("b", "2026-11-02 09:00", 3),
            shown("b", "2026-11-02 10:00"),
            shown("c", "2026-11-30 23:59"),
            answered("c", "2026-12-01 00:00", 3),
            shown("d", "2026-11-01 00:00"),
            answered("e", "2026-11-02 10:00", 3),
            answered("f", "2026-11-02 10:00", 3, survey="quiz"),  # never shown to anybody: no rate
        ]
    )
    assert await world.ask("survey_response", **NOVEMBER) == [
        ("nps", 4, 1, 0.25, 30.0, 2),
        ("quiz", 0, 0, None, None, 1),
    ]
    assert await world.ask("survey_response", from_="2026-01-01", to="2026-01-31") == []
