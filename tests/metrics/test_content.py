"""Content, worked out by hand."""

from __future__ import annotations

from typing import Any

from metrics.side_tables import put
from metrics.world import World, event
from schemas.side_tables import ContentItem

DAYS = {"from_": "2026-11-01", "to": "2026-11-03"}


def viewed(actor: str, at: str, item: str) -> dict[str, Any]:
    return event(actor, "look", at, {"item_id": item})


def did(actor: str, what: str, at: str, item: str, **properties: Any) -> dict[str, Any]:
    return event(actor, what, at, {"item": item, **properties})


def article(item: str, published: str, **more: str) -> ContentItem:
    return ContentItem.model_validate({"item": item, "published": published, **more})


#: On 1 November a opens t1 twice and t2, b opens t1; a finishes t1. Nothing on the 2nd.
EVENTS = [
    viewed("z", "2026-10-31 23:59", "t1"),
    viewed("a", "2026-11-01 00:00", "t1"),
    viewed("a", "2026-11-01 09:00", "t1"),
    viewed("a", "2026-11-01 09:10", "t2"),
    viewed("b", "2026-11-01 10:00", "t1"),
    did("a", "read", "2026-11-01 09:05", "t1", share=0.95),
    did("b", "read", "2026-11-01 10:05", "t1", share=0.5),  # not to the end
    did("a", "like", "2026-11-01 09:06", "t1"),
    did("b", "comment", "2026-11-01 10:06", "t1"),
    did("b", "comment", "2026-11-01 10:07", "t1"),
    did("b", "share", "2026-11-01 10:08", "t1"),
    did("w", "write", "2026-11-01 08:00", "t2"),
    did("w", "write", "2026-11-03 23:59", "t3"),
    viewed("b", "2026-11-03 23:59", "t2"),
    viewed("b", "2026-11-04 00:00", "t2"),
    event("b", "look", "2026-11-01 11:00"),  # of nothing
]


async def test_content_by_day(world: World) -> None:
    """Of 3 openings (a t1, a t2, b t1) one is finished."""
    await put(world)
    await world.tell(EVENTS)
    assert await world.ask("content_daily", **DAYS) == [
        ("2026-11-01", 4, 2, 2.0, 0.333333, 0.25, 0.5, 0.25, 1, 1),
        ("2026-11-02", 0, 0, None, None, None, None, None, 0, 0),
        ("2026-11-03", 1, 1, 1.0, 0.0, 0.0, 0.0, 0.0, 1, 1),
    ]


async def test_ranking(world: World) -> None:
    """The title of t1 is imported; t2 has its creator from the event that made it, 3 days before the period's end."""
    await put(world, article("t1", "2026-10-20T00:00:00+01:00", title="A walk", creator="ann"))
    await world.tell([*EVENTS, viewed("c", "2026-11-03 10:00", "t9")])
    assert await world.ask("content_ranking", **DAYS) == [
        ("t1", "A walk", "ann", 3, 2, 0.5, 0.333333, 0.666667, 0.333333, 14),
        ("t2", "", "w", 2, 2, 0.0, 0.0, 0.0, 0.0, 2),
        ("t9", "", "", 1, 1, 0.0, 0.0, 0.0, 0.0, None),
    ]
    assert len(await world.ask("content_ranking", **DAYS, limit=1)) == 1
    assert await world.ask("content_ranking", from_="2026-01-01", to="2026-01-02") == []


async def test_views_by_age(world: World) -> None:
    """t1 is 12 days old when viewed, t2 an hour, and two days at its second view; t9 nobody knows."""
    await put(world, article("t1", "2026-10-20T00:00:00+01:00"))
    await world.tell([*EVENTS, viewed("c", "2026-11-03 10:00", "t9")])
    assert await world.ask("content_by_age", **DAYS) == [
        ("0 to 1 day", 1, 1, 1, 1.0, 0.166667),
        ("1 to 3 days", 1, 1, 1, 1.0, 0.166667),
        ("7 to 30 days", 3, 2, 1, 3.0, 0.5),
        ("unknown", 1, 1, 1, 1.0, 0.166667),
    ]
    assert await world.ask("content_by_age", from_="2026-01-01", to="2026-01-02") == []


async def test_creators(world: World) -> None:
    """Ann made nothing in the period, but is read: 3 views by 2 readers, and a like, 2 comments, a share."""
    await put(world, article("t1", "2026-10-20T00:00:00+01:00", creator="ann"))
    await world.tell(EVENTS)
    assert await world.ask("content_creators", **DAYS) == [
        ("w", 2, 2, 2, 0, 0.0),
        ("ann", 0, 3, 2, 4, 1.333333),
    ]
    assert await world.ask("content_creators", from_="2026-01-01", to="2026-01-02") == []
