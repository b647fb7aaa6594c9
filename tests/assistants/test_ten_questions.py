"""Ten questions of a product manager, asked as an assistant would, and answered with the catalogue's own definitions.

What was answered is recorded in `tests/data/assistants/ten_questions.json`, word for word; `STREAMGAUGE_RECORD=1`
records it anew, to be read before it is committed.
"""

from __future__ import annotations

import json
import os
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from metrics.world import World

from assistants.asking import assistant, variables
from pipeline.assistants.arguments import ListMetrics
from pipeline.assistants.catalogue import list_metrics
from pipeline.assistants.told import told
from pipeline.embedded.clickhouse import EmbeddedClickHouse
from pipeline.metrics import arguments_for, metric, run
from pipeline.render.language import words
from schemas.plan_io import load_plan

pytestmark = pytest.mark.integration

RECORD = Path(__file__).parents[1] / "data" / "assistants" / "ten_questions.json"
WEEK = {"from": "2026-11-15", "to": "2026-11-21"}
MONTH = {"from": "2026-10-25", "to": "2026-11-21"}
#: The words with which a product manager asks, and how an assistant asks on.
QUESTIONS: list[tuple[str, str, str, dict[str, Any], dict[str, Any]]] = [
    ("How many people used us each day last week?", "上周每天有多少人在用？日活是多少？",
     "active_users_daily", WEEK, {}),
    ("How sticky are we: DAU, WAU, MAU?", "我们的粘性如何？DAU、WAU、MAU 各是多少？",
     "active_users", {"from": "2026-11-21", "to": "2026-11-21"}, {}),
    ("Do new users come back in the weeks after?", "新用户之后几周的留存怎么样？",
     "retention", {"from": "2026-10-26", "to": "2026-11-15", "period": "week"}, {}),
    ("Where do we lose people between the product page and the order?", "从商品页到下单，用户主要在哪一步流失？",
     "funnel", WEEK, {}),
    ("What did we take in each week, and how much per paying user?", "每周收入多少？付费用户人均（ARPPU）多少？",
     "revenue", {**MONTH, "period": "week"}, {}),
    ("Which channel brings users who register and pay?", "哪个渠道带来的用户注册和付费最多？",
     "acquisition_by_channel", {"from": "2026-10-25", "to": "2026-11-07", "until": "2026-11-21"}, {}),
    ("Who is new, who came back, who fell asleep?", "新增、回访、回流和沉睡的用户各有多少？",
     "user_lifecycle", WEEK, {}),
    ("Which features do people use at all?", "各功能的渗透率是多少？",
     "feature_penetration", WEEK, {}),
    ("How many buyers buy again?", "有多少买家复购？",
     "repeat_purchase", MONTH, {}),
    ("And on iOS alone: how many people a day?", "只看 iOS，每天的日活是多少？",
     "active_users_daily", WEEK, {"filters": [{"field": "platform", "values": ["ios"]}]}),
]  # fmt: skip


async def test_ten_questions_are_answered_with_the_catalogues_definitions_and_figures(
    world: World, server: EmbeddedClickHouse
) -> None:
    recorded = []
    async with assistant(variables(world, server)) as asking:
        for english, chinese, name, parameters, only in QUESTIONS:
            answer = await asking.ask("run_metric", name=name, parameters=parameters, **only)
            assert answer.pop("answered_at")[:2] == "20"
            called = {"name": name, "parameters": parameters, **only}
            recorded.append({"asked": [english, chinese], "run_metric": called, "answer": answer})
            # The product's own words, in both languages.
            one = metric(name)
            for part in ("title", "definition", "formula", "grain", "mistakes"):
                english = getattr(one, part)
                assert answer[part] == {"en": english, "zh": words("zh").texts[f"metric|{english}"]}
            assert (answer["time_zone"], answer["product"]) == ("Asia/Shanghai", "Demo shop")
            assert all(column["unit"] and column["zh"] for column in answer["columns"])
            # The SQL that is told gives the figures that are told; so does the catalogue, asked without an assistant.
            figures = [list(row.values()) for row in answer["rows"]]
            assert figures == _plain(await world.sql(answer["sql"]), world)
            if not only:
                given = arguments_for(one, parameters, world.plan, date(2026, 11, 22))
                assert figures == _plain((await run(world.connection, one, given)).rows, world)
        # Of the last question, which the catalogue answers of some events only: counted without it.
        counted = await world.sql(
            "SELECT toDate(ts, 'Asia/Shanghai') AS day, uniqExact(person) FROM events "
            "WHERE platform = 'ios' AND day BETWEEN '2026-11-15' AND '2026-11-21' GROUP BY day ORDER BY day"
        )
        assert [row[:2] for row in figures] == _plain(counted, world)
    if os.environ.get("STREAMGAUGE_RECORD"):
        RECORD.parent.mkdir(exist_ok=True)
        RECORD.write_text(json.dumps(recorded, ensure_ascii=False, indent=1) + "\n", "utf-8")
    assert json.loads(RECORD.read_text("utf-8")) == recorded


def _plain(rows: Any, world: World) -> list[list[Any]]:
    return [[told(value, world.plan.zone) for value in row] for row in rows]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("日活", "active_users_daily"), ("留存", "retention"), ("daily active", "active_users_daily"),
        ("漏斗", "funnel"), ("收入 arppu", "revenue"), ("渗透率", "feature_penetration"), ("复购", "repeat_purchase"), ("NPS", "nps"),
        ("churn", "churn"), ("渠道转化率", "acquisition_by_channel"),
    ],
)  # fmt: skip
def test_a_metric_is_found_by_the_words_that_people_say(words: str, found: str) -> None:
    listed = list_metrics(load_plan("shop"), ListMetrics(search=words))["metrics"]
    assert found in [one["name"] for one in listed]
    assert len(listed) < 25
