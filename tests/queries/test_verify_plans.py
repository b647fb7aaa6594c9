"""`verify` with another plan than the one that was counted live by: what only one has is named and not compared."""

from __future__ import annotations

from queries.counted import EVENTS, PLAN, START, System, again, event

from pipeline.embedded.clickhouse import EmbeddedClickHouse
from pipeline.render.language import Language
from pipeline.render.verification import summary

EN = Language("en")
#: One who looks, at each of five hours.
LATER = [event(100 + hour, f"u{hour}", "look", START + hour * 3_600_000 + 1_000) for hour in range(5)]


async def test_what_only_a_later_plan_has_is_named_and_not_compared(server: EmbeddedClickHouse) -> None:
    """Nothing was counted live of the new dimension and the new funnel, nor of the changed one."""
    async with System(server, EVENTS, partitions=1) as system:
        dimensions = [*PLAN.dimensions, ("channel",)]
        added = PLAN.model_copy(
            update={
                "dimensions": tuple(dimensions),
                "funnels": {
                    "buying": PLAN.funnels["buying"].model_copy(update={"window": 600_000}),
                    "once": PLAN.funnels["once"],
                    "joining": PLAN.funnels["buying"].model_copy(update={"breakdown": ()}),
                },
            }
        )
        found = await system.verify(added)
    assert found.differences == []
    assert found.in_one_plan == [
        "the dimension channel is in this plan, but nothing was counted live by it",
        "the funnel buying is in this plan, but was counted live by another definition",
        "the funnel buying by platform is in this plan, but was counted live by another definition",
        "the funnel joining is in this plan, but nobody was counted live in it",
    ]
    assert found.windows == 40
    assert "; the plan has changed: 4 things not compared" in summary(EN, found)


async def test_what_a_later_plan_no_longer_has_is_named(server: EmbeddedClickHouse) -> None:
    async with System(server, EVENTS, partitions=1) as system:
        fewer = PLAN.model_copy(
            update={"dimensions": PLAN.dimensions[:1], "funnels": {"buying": PLAN.funnels["buying"]}}
        )
        found = await system.verify(fewer)
    assert found.differences == []
    assert found.in_one_plan == [
        "the dimension event,platform is counted live, but is not in this plan",
        "the funnel once is counted live, but is not in this plan",
    ]


async def test_windows_that_were_counted_with_another_bound_of_values_are_named(server: EmbeddedClickHouse) -> None:
    """Four platforms in an hour, of which the worker counted two by themselves; in another hour there were two."""
    platforms = ["ios", "web", "tv", "car"]
    events = [event(i, f"u{i}", "look", START + i, platform) for i, platform in enumerate(platforms)]
    events += [event(10 + i, f"u{i}", "look", START + 86_400_000 + i, platforms[i]) for i in range(2)]
    async with System(server, events, partitions=1) as system:
        assert (await system.verify()).in_one_plan == []
        for bound in (3, 10, 1):
            found = await system.verify(PLAN.model_copy(update={"max_values": bound}))
            assert found.differences == []
            assert found.in_one_plan == [
                f"the dimension {name} was counted live with another max_values (2, not {bound}) in "
                "2026-09-20T16:00:00Z: such windows not"
                for name in ("event,platform", "platform")
            ]
        # What is not bounded otherwise is compared as ever.
        where = "dimension = 'platform' AND grain = 'hour' AND value = ['ios']"
        await system.run(again("live_activity_raw", "toUInt64(9) AS events", where))
        found = await system.verify(PLAN.model_copy(update={"max_values": 3}))
        assert list(map(str, found.differences)) == [
            "events of hour platform 2026-09-22T14:00:00Z ios: live 9, archived 1"
        ]


async def test_a_dimension_and_a_funnel_that_came_later_are_compared_from_then_on(server: EmbeddedClickHouse) -> None:
    """The worker has counted them since an hour ago: of what was before it has no rows, and of that hour a part."""
    earlier = f"start < fromUnixTimestamp64Milli({START + 3_600_000})"
    async with System(server, LATER, partitions=1) as system:
        hours = "dimension = 'platform' AND grain IN ('minute', 'hour')"
        await system.run(f"DELETE FROM live_activity_raw WHERE {hours} AND {earlier}")
        await system.run(
            again("live_activity_raw", "toUInt64(1) AS events", "dimension = 'platform' AND grain = 'day'")
        )
        await system.run(f"DELETE FROM live_funnel_raw WHERE funnel = 'buying' AND {earlier}")
        found = await system.verify()
        assert found.differences == []
        assert found.in_one_plan == [
            "the dimension platform is counted live since 2026-09-21T15:00:00Z: not before",
            "the funnel buying is counted live since 2026-09-21T15:00:00Z: not before",
            "the funnel buying by platform is counted live since 2026-09-21T15:00:00Z: not before",
        ]
        # A window after that, which the funnel should have, is still missed.
        await system.run(again("live_funnel_raw", "[toUInt64(7), 7] AS users", "funnel = 'buying' AND breakdown = ''"))
        assert "users by step of funnel buying 2026-09-21T18:00:00Z: live [7, 7], archived [1, 0]" in map(
            str, (await system.verify()).differences
        )
