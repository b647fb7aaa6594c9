"""Every metric has something to say of the simulated products, with its default parameters."""

from __future__ import annotations

import math

import pytest

from metrics.world import World
from pipeline.archiver.load import load
from pipeline.clickhouse.client import connect
from pipeline.clickhouse.side_tables import insert
from pipeline.embedded.clickhouse import EmbeddedClickHouse
from pipeline.metrics import arguments_for, metrics, run
from pipeline.simulate import CONTENT, SHOP, History
from pipeline.simulate.command import side_rows
from schemas.plan_io import load_plan

DAY = 86_400_000
END = 1_795_363_200_000  # 2026-11-22T16:00:00Z, midnight in Shanghai
#: What the readers of the content app don't do: use coupons, pay enough for the first named segment, and leave without
#: having seen an article (who registers on the way is one person, whose session goes on).
NOT_OF_CONTENT = {"coupon_use", "instead_of", "users_in_segment"}


@pytest.mark.parametrize("name", ["shop", "content"])
async def test_every_metric_answers(server: EmbeddedClickHouse, name: str) -> None:
    plan = load_plan(name)
    world = await World(server, plan).open()
    try:
        history = History(SHOP if name == "shop" else CONTENT, END - 45 * DAY, END, 30_000, users=1_200)
        client = await connect(world.settings)
        await load(client, plan, history.records())
        for rows in side_rows(history, plan).values():
            await insert(client, rows)
        await client.close()
        day, actor = (await world.sql("SELECT max(day), argMax(actor, value) FROM activity"))[0]
        silent = set()
        for metric in metrics().values():
            given = {"actor": actor} if metric.name == "user_profile" else {}
            table = await run(world.connection, metric, arguments_for(metric, given, plan, day))
            if not table.rows:
                silent.add(metric.name)
            for row in table.rows:
                wrong = [v for v in row if isinstance(v, float) and not math.isfinite(v)]
                assert not wrong, f"{metric.name}: {dict(zip(table.columns, row, strict=True))}"
        assert silent <= (NOT_OF_CONTENT if name == "content" else set())
    finally:
        await world.close()
