"""`streamgauge replay`, as people call it."""

from __future__ import annotations

import gzip
import json
import random
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from whole_system import command

CHINESE = {"LC_ALL": "zh_CN.UTF-8", "PYTHONIOENCODING": "utf-8"}
PLAN = """
product: Test
timezone: Asia/Shanghai
lateness: 10m
dedupe: 1h
registration: join
dimensions: [platform]
events:
  join: {}
  look: {}
  buy: {value: amount, properties: {amount: number!}}
funnels:
  buying: {steps: [look, buy], window: 5m, bucket: hour, breakdown: [platform]}
"""
START = 1_760_004_000_000  # 2025-10-09 10:00 UTC


def line(number: int, user: str, name: str, after_s: float, **more: Any) -> str:
    return json.dumps(
        {"event_id": f"e{number}", "event": name, "user_id": user, "ts": START + int(after_s * 1000), **more}
    )


LINES = [
    line(1, "u1", "look", 0, platform="ios"),
    line(2, "u1", "buy", 60, platform="ios", properties={"amount": 19.99}),
    line(3, "u2", "look", 3600, platform="web"),
    line(4, "u2", "look", 1, platform="web"),  # as logged, an hour late
    line(3, "u2", "look", 3600, platform="web"),  # sent again
    '{"event_id": "e5", "event": "look", "ts": 1760004000000}',
    "{",
]


@pytest.fixture
def plan(tmp_path: Path) -> str:
    path = tmp_path / "plan.yaml"
    path.write_text(PLAN)
    return str(path)


def write(path: Path, lines: list[str]) -> str:
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def replay(*arguments: str) -> dict[str, Any]:
    done = command("replay", *arguments, "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_every_measure_of_a_small_file(tmp_path: Path, plan: str) -> None:
    file = write(tmp_path / "events.jsonl", LINES)
    found = replay(file, "--plan", plan, "--grain", "day")
    assert found["totals"] == {
        "lines": 7, "accepted": 4, "late": 0, "duplicate": 1, "rejected": 2,
        "reasons": {"invalid_json": 1, "missing_actor": 1},
    }  # fmt: skip
    day = {"grain": "day", "start": "2025-10-08T16:00:00.000Z", "start_ms": 1759939200000,
           "end": "2025-10-09T16:00:00.000Z", "end_ms": 1760025600000}  # fmt: skip
    assert found["activity"] == [
        {**day, "dimension": "", "value": [], "events": 4, "users": 2, "sessions": 0, "registrations": 0,
         "amount": "19.99"},
        {**day, "dimension": "platform", "value": ["ios"], "events": 2, "users": 1, "sessions": 0, "registrations": 0,
         "amount": "19.99"},
        {**day, "dimension": "platform", "value": ["web"], "events": 2, "users": 1, "sessions": 0, "registrations": 0,
         "amount": "0"},
    ]  # fmt: skip
    assert found["funnels"][0] == {
        "funnel": "buying", "start": "2025-10-09T10:00:00.000Z", "start_ms": 1760004000000,
        "end": "2025-10-09T11:00:00.000Z", "end_ms": 1760007600000, "breakdown": "", "value": "",
        "steps": ["look", "buy"], "users": [2, 1],
        "times": [{"count": 1, "mean_ms": 60000.0, "median_ms": 60495.062, "p90_ms": 60495.062}],
    }  # fmt: skip
    assert [(f["start_ms"] - START, f["breakdown"], f["value"], f["users"]) for f in found["funnels"]] == [
        (0, "", "", [2, 1]), (0, "platform", "ios", [1, 1]), (0, "platform", "web", [1, 0]),
        (3_600_000, "", "", [1, 0]), (3_600_000, "platform", "web", [1, 0]),
    ]  # fmt: skip
    assert [(f["breakdown"], f["value"], f["users"]) for f in found["overall"]] == [
        ("", "", [3, 1]), ("platform", "ios", [1, 1]), ("platform", "web", [2, 0]),
    ]  # fmt: skip


@pytest.mark.usefixtures("needs_embedded")
def test_clickhouse_says_the_same_and_the_order_of_lines_does_not_matter(tmp_path: Path, plan: str) -> None:
    shuffled = list(LINES)
    random.Random(4).shuffle(shuffled)
    file = tmp_path / "events.jsonl.gz"
    file.write_bytes(gzip.compress("\n".join(shuffled).encode()))
    ordered = replay(write(tmp_path / "events.jsonl", LINES), "--plan", plan)
    assert {window["grain"] for window in ordered["activity"]} == {"minute", "hour", "day", "day_utc"}
    assert replay(str(file), "--plan", plan) == ordered
    assert replay(str(file), "--plan", plan, "--sql") == ordered


@pytest.mark.usefixtures("needs_embedded")
def test_as_logged_keeps_the_order_and_finds_what_is_late(tmp_path: Path, plan: str) -> None:
    file = write(tmp_path / "events.jsonl", LINES)
    live = replay(file, "--plan", plan, "--as-logged")
    assert (live["totals"]["accepted"], live["totals"]["late"]) == (3, 1)
    assert [f["users"] for f in live["overall"] if not f["breakdown"]] == [[2, 1]]
    assert replay(file, "--plan", plan, "--as-logged", "--sql") == live


def test_a_table_from_elsewhere(tmp_path: Path, plan: str) -> None:
    file = write(tmp_path / "export.csv", [
        "uid,what,at,amount", "u1,look,2025-10-09 18:00:00,", "u1,buy,2025-10-09 18:01:00,5", "u2,look,soon,",
        ",look,2025-10-09 18:00:00,",
    ])  # fmt: skip
    columns = ("--map", "user_id=uid,event=what,ts=at", "--tz", "Asia/Shanghai")
    found = replay(file, "--plan", plan, *columns, "--grain", "day")
    assert found["totals"]["accepted"] == 2
    assert found["totals"]["reasons"] == {"bad_line": 2}
    assert found["activity"][0]["amount"] == "5"
    assert found["overall"][0]["users"] == [1, 1]


def test_the_day_of_running_decides_nothing(tmp_path: Path, plan: str) -> None:
    file = write(tmp_path / "events.jsonl", [line(1, "u1", "look", 10 * 365 * 86_400)])
    totals = replay(file, "--plan", plan)["totals"]
    assert (totals["accepted"], totals["reasons"]) == (1, {})


def test_why_lines_were_left_out_is_told_with_the_first_of_each_reason(tmp_path: Path, plan: str) -> None:
    done = command("replay", write(tmp_path / "a.csv", ["user_id,event,ts", "u1,look,soon", "u1,hop,1760004000"]),
                   "--plan", plan)  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        f"{tmp_path}/a.csv line 2: 'soon' is not a time: epoch seconds or milliseconds, or like 2026-10-01 12:00:00, "
        "or say --time-format",
        f"{tmp_path}/a.csv line 3: unknown_event: the plan has no event 'hop'; it has buy, join, look",
        f"nothing was measured: {tmp_path}/a.csv (CSV with commas) holds no event of the plan: 1 unknown_event, "
        "1 bad_line",
    ]


def test_for_a_person_from_standard_input(tmp_path: Path, plan: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.cli", "replay", "-", "--plan", plan],
        input="\n".join(LINES), text=True, capture_output=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("7 lines: 4 counted, 0 late, 1 duplicate, 2 rejected (1 invalid_json, 1")
    assert "Funnel buying: within 5m, per user" in done.stdout
    assert "2025-10-09" in done.stdout


def test_for_a_person_who_reads_chinese(tmp_path: Path, plan: str) -> None:
    file = write(tmp_path / "events.jsonl", LINES)
    done = command("replay", file, "--plan", plan, env=CHINESE)
    said = [re.sub(" *[┃│] *", "|", line.strip()) for line in done.stdout.splitlines()]
    assert [line for line in said if line[0] not in "┏┡└"] == [
        "7 行：计入 4，迟到 0，重复 1，被拒 2（invalid_json 1、missing_actor 1）",
        "按实时口径统计，用户数为 HyperLogLog 去重估算值",
        "活跃情况：合计，每日（Asia/Shanghai）",
        "|起始时间|取值|事件数|用户数|会话数|注册人数|金额|",
        "|2025-10-09||4|2|0|0|19.99|",
        "活跃情况：按 platform，每日（Asia/Shanghai）",
        "|起始时间|取值|事件数|用户数|会话数|注册人数|金额|",
        "|2025-10-09|ios|2|1|0|0|19.99|",
        "|2025-10-09|web|2|1|0|0|0|",
        "漏斗 buying：转化窗口 5m，按 user 计",
        "|步骤|用户数||总转化率|上一步转化率|用时中位数|",
        "|look|3|██████████████████████████████|100.0%|||",
        "|buy|1|██████████····················|33.3%|33.3%|60.5 秒|",
        "按取值，全部时段合计",
        "|字段|取值|步骤 1|步骤 2|转化率|",
        "|platform|ios|1|1|100.0%|",
        "|platform|web|2|0|0.0%|",
        "按小时",
        "|起始时间|步骤 1|步骤 2|转化率|",
        "|2025-10-09 10:00|2|1|50.0%|",
        "|2025-10-09 11:00|1|0|0.0%|",
    ]
    assert done.stderr.splitlines() == [
        f"{file} 第 6 行：missing_actor：user_id 和 anonymous_id 至少要有一个，否则不知道是谁的事件",
        f"{file} 第 7 行：invalid_json：第 1 行第 1 列：内容不完整",
    ]
    done = command("replay", write(tmp_path / "a.csv", ["user_id,event,ts", "u1,hop,1760004000"]), "--plan", plan,
                   env=CHINESE)  # fmt: skip
    assert done.stderr.splitlines() == [
        f"{tmp_path}/a.csv 第 2 行：unknown_event：方案里没有事件 'hop'；已有 buy, join, look",
        f"没有可统计的内容：{tmp_path}/a.csv 中没有方案里的事件（unknown_event 1），文件按 CSV（逗号分隔） 读取",
    ]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nothing.jsonl"], "nothing.jsonl can't be read: No such file or directory"),
        (["nothing.jsonl", "--grain", "week"], "--grain week: this plan has minute, hour, day, day_utc"),
        (["nothing.jsonl", "--tz", "Mars"], "--tz 'Mars' is not a time zone: write it like Europe/Berlin or UTC"),
        (["nothing.jsonl", "--map", "x=y"], "--map: an event has no field 'x'"),
    ],
)
def test_mistakes_are_told(plan: str, arguments: list[str], says: str) -> None:
    done = command("replay", *arguments, "--plan", plan)
    assert done.returncode == 2
    assert done.stderr.startswith(f"streamgauge: {says}")
    assert done.stderr.count("\n") == 1


def test_sql_without_chdb_says_what_to_install(tmp_path: Path, plan: str) -> None:
    file = write(tmp_path / "events.jsonl", LINES)
    code = "import sys; sys.modules['chdb'] = None; from pipeline.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "replay", file, "--plan", plan, "--sql"],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr == "streamgauge: --sql needs ClickHouse in Python: pip install 'streamgauge[embedded]'\n"
