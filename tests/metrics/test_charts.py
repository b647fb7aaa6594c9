"""The chart of a metric shows what its result says."""

from __future__ import annotations

import io
from datetime import date, timedelta

import pytest
from metrics.world import PLAN, World, event

from pipeline.errors import UserError
from pipeline.metrics import arguments_for, metric, run
from pipeline.metrics.charts import png
from pipeline.metrics.run import Table

pytestmark = pytest.mark.usefixtures("needs_charts")

DAY = date(2026, 11, 30)


@pytest.mark.parametrize("name", ["active_users", "new_users", "retention", "funnel", "active_users_by", "transitions"])
async def test_each_kind(world: World, name: str) -> None:
    """A picture of the rows; without rows, one that says so."""
    from matplotlib import image

    chosen = metric(name)
    arguments = arguments_for(chosen, {}, PLAN, DAY)
    pictures = []
    for users in (0, 9):
        await world.tell(
            [
                event(f"u{i}", what, f"2026-11-{24 + i % 6} 10:0{place}", channel=f"c{i % 2}", platform=f"p{i % 3}")
                for i in range(users)
                for place, what in enumerate(("join", "look", "cart", "buy")[: 2 + i % 3])
            ]
        )
        pictures.append(png(chosen, await run(world.connection, chosen, arguments), arguments))
    assert len(set(pictures)) == 2
    for picture in pictures:
        assert image.imread(io.BytesIO(picture)).shape == (600, 1200, 4)


def test_a_gap_is_left_out_not_drawn_as_zero() -> None:
    """The mean of a day without sessions is NULL: the line is broken there."""
    days = [DAY + timedelta(days=i) for i in range(3)]
    chosen = metric("sessions_daily")
    pictures = {
        png(chosen, Table(("day", "sessions", "users"), ("Date", "Float64", "Float64"), rows), {})
        for rows in (
            [(days[0], 5, 5), (days[1], None, 5), (days[2], 5, 5)],
            [(days[0], 5, 5), (days[1], 0, 5), (days[2], 5, 5)],
        )
    }
    assert len(pictures) == 2


def test_a_list_has_no_chart() -> None:
    with pytest.raises(UserError, match="users_at_risk is a list: no chart suits it"):
        png(metric("users_at_risk"), Table((), (), []), {})
