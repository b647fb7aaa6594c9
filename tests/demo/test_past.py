"""How much past a demo has, and what goes wrong in it."""

from __future__ import annotations

from datetime import date, datetime
from itertools import takewhile
from zoneinfo import ZoneInfo

import pytest

from pipeline.demo.run import Demo, begin_of_stream, past_events, planted
from pipeline.settings import load_settings
from pipeline.simulate import CONTENT, SHOP, Fault, Product
from pipeline.simulate.command import faults_of
from schemas.plan_io import load_plan


@pytest.mark.parametrize(
    ("rate", "days", "events"), [(0.13, 21, 235_872), (0.1, 1, 8_640), (1000.0, 21, 250_000), (0.1, 0, 1)]
)
def test_the_past_is_as_large_as_the_live_traffic_would_have_been(rate: float, days: int, events: int) -> None:
    assert past_events(rate, days) == events


@pytest.mark.parametrize(
    ("now", "rate", "begin"),
    [
        ("2026-11-26T17:30:00", 0.13, "2026-11-26T00:00:00"),
        ("2026-11-26T00:00:00", 0.13, "2026-11-26T00:00:00"),
        ("2026-11-26T17:30:00", 1000.0, "2026-11-26T17:29:45"),
        ("2026-11-26T00:00:10", 1000.0, "2026-11-26T00:00:00"),
    ],
)
def test_today_is_live_from_its_midnight_on_or_for_as_many_events_as_take_a_second(
    now: str, rate: float, begin: str
) -> None:
    zone = ZoneInfo("Asia/Shanghai")
    at, since = (round(datetime.fromisoformat(text).replace(tzinfo=zone).timestamp() * 1000) for text in (now, begin))
    assert begin_of_stream(zone, at, rate) == since


@pytest.mark.parametrize(
    ("product", "step", "factor", "clocks"),
    [(SHOP, "pay", 0.2, "Asia/Shanghai"), (CONTENT, "article_read", 0.5, "Europe/Berlin")],
    ids=["shop", "content"],
)
def test_one_fault_is_planted_at_the_begin_of_a_day_of_the_plan(
    product: Product, step: str, factor: float, clocks: str
) -> None:
    plan, zone = load_plan(product.name), ZoneInfo(clocks)
    now = round(datetime(2026, 11, 26, 0, 1, tzinfo=zone).timestamp() * 1000)
    since = round(datetime(2026, 11, 23, tzinfo=zone).timestamp() * 1000)
    text = planted(product, date(2026, 11, 23))
    assert faults_of([text], plan, now) == (Fault(step, factor, since, None, {"platform": "android"}),)


@pytest.mark.parametrize(
    ("moment", "busy"),
    [("2026-11-25T04:00", 0.55), ("2026-11-25T20:00", 1.26), ("2026-11-28T12:00", 1.45), ("2026-11-29T12:00", 1.45)],
    ids=["night", "evening", "Saturday", "Sunday"],
)
def test_live_traffic_is_as_large_as_the_day_before_at_this_time(moment: str, busy: float) -> None:
    """Within a quarter, where the day before is of the same kind; and it follows the hours of the plan's zone."""
    hour, day = 3_600_000, 86_400_000
    demo = Demo(load_settings(None, plan="shop"), 0.5, 3_000, None, 1, None, False, days=1)
    now = round(datetime.fromisoformat(moment).replace(tzinfo=ZoneInfo("Asia/Shanghai")).timestamp() * 1000)
    before = sum(sent.at < now - day + hour for sent in demo.history(now).records())
    live = sum(1 for _ in takewhile(lambda sent: sent.at < now + hour, demo.population(now).events()))
    weekly = 1.25 / 0.9 if moment == "2026-11-28T12:00" else 1.0  # the day before was a Friday
    assert live / before == pytest.approx(weekly, rel=0.25)
    assert live / (0.5 * 3600) == pytest.approx(busy, rel=0.25)
