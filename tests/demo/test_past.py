"""How much past a demo has."""

from __future__ import annotations

import pytest

from pipeline.demo.run import past_events


@pytest.mark.parametrize(
    ("rate", "days", "events"),
    [(5.0, 28, 168_000), (1.0, 28, 33_600), (1000.0, 28, 170_000), (0.1, 1, 120), (0.1, 0, 1)],
)
def test_a_day_of_the_past_is_twenty_minutes_of_live_traffic(rate: float, days: int, events: int) -> None:
    """At 500 events a second beside 3,300 a day every chart of days was a cliff after seconds."""
    assert past_events(rate, days) == events
