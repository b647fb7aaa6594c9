"""`streamgauge rebuild`: a file straight into ClickHouse, with the windows that its replay counts."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from migrated import give_back, running, take
from whole_system import command

from pipeline.clickhouse.client import Connection
from pipeline.embedded.clickhouse import EmbeddedClickHouse
from pipeline.files.plain import actor_of_line
from pipeline.settings import Settings

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("needs_embedded")]

PLAN = """
product: Test
timezone: Asia/Shanghai
lateness: 10m
dedupe: 1h
registration: join
max_values: 3
dimensions: [platform, [event, platform]]
identity: {link: login, shared_device: 3}
events:
  join: {}
  look: {}
  buy: {value: amount, properties: {amount: number!}}
funnels:
  buying: {steps: [look, buy], window: 1d, bucket: day, breakdown: [platform]}
  once: {steps: [look, look, buy], window: 1h, modes: [strict_once]}
"""
START = 1_760_004_000_000  # 2025-10-09 10:00 UTC, more than a year before the tests
DAY = 86_400_000


@pytest.fixture(scope="module")
def server(needs_embedded: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedClickHouse]:
    with running(tmp_path_factory.mktemp("rebuild")) as clickhouse:
        yield clickhouse


@pytest.fixture
async def settings(server: EmbeddedClickHouse) -> AsyncIterator[Settings]:
    found = await take(server)
    yield found
    await give_back(server, found)


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    path = tmp_path / "plan.yaml"
    path.write_text(PLAN)
    return path


def events(seed: int, count: int) -> list[str]:
    """Of five days, in order: people log in on devices of theirs, some events come twice, of others `send` mends the
    time."""
    rng = random.Random(seed)
    found = []
    for number, ts in enumerate(sorted(START + rng.randrange(5 * DAY) for _ in range(count))):
        person = rng.randrange(30)
        who: dict[str, Any] = {"anonymous_id": f"d{person}-{rng.randrange(2)}"}
        if rng.random() < 0.4:
            who["user_id"] = f"u{person}"
        name = rng.choice(("look", "look", "look", "buy", "join"))
        event: dict[str, Any] = {
            "event_id": f"e{number}", "event": name, **who, "ts": ts,
            "platform": rng.choice(("ios", "web", "tv", "car", "")),
        }  # fmt: skip
        if name == "buy":
            event["properties"] = {"amount": rng.randrange(1, 1000) / 100}
        if rng.random() < 0.1:
            event["ts"] = f"{ts / 1000:.3f}"
        line = json.dumps(event)
        found += [line] * (2 if rng.random() < 0.05 else 1)
    return found


def ms(time: str) -> int:
    return round(datetime.fromisoformat(time).timestamp() * 1000)


async def streamgauge(settings: Settings, *words: object, code: int = 0, stream: str = "main") -> str:
    environment = {**settings.environment(), "PIPELINE_STREAM": stream}
    done = await asyncio.to_thread(command, *map(str, words), env=environment)
    assert done.returncode == code, done.stderr
    return done.stdout if code != 2 else done.stderr


async def test_a_file_is_stored_and_its_windows_are_those_of_its_replay(
    settings: Settings, plan: Path, tmp_path: Path
) -> None:
    lines = events(1, 1_500)
    mended = sum(actor_of_line(line.encode()) is None for line in lines)
    assert 50 < mended < 300
    bad = json.dumps({"event_id": "bad", "event": "nothing", "user_id": "u1", "ts": START})
    file = tmp_path / "year.jsonl"
    file.write_text("\n".join([*lines, bad]) + "\n")
    told = json.loads(await streamgauge(settings, "rebuild", file, "--plan", plan, "--json", code=1))
    distinct = len({json.loads(line)["event_id"] for line in lines})
    assert (told["events"], told["rejected"], told["stream"]) == (distinct, 1, "history")
    assert told["without_times"] == ["once"]
    # What SQL says of the file by itself, in another way into another database.
    asked = ["--json", "--sql", "--tz", "UTC"]
    measured = json.loads(await streamgauge(settings, "replay", file, "--plan", plan, *asked))
    connection = Connection(settings)
    try:
        windows = await connection.query(
            "SELECT grain, toUnixTimestamp64Milli(start), dimension, value, events, toInt64(amount * 1000000), users, "
            "sessions, registrations FROM live_activity WHERE stream = 'history' ORDER BY ALL"
        )
        cohorts = await connection.query(
            "SELECT funnel, toUnixTimestamp64Milli(start), breakdown, value, groupArray(users) FROM "
            "(SELECT * FROM live_funnel WHERE stream = 'history' ORDER BY step) GROUP BY ALL ORDER BY ALL"
        )
        ((persons, ids),) = await connection.query("SELECT uniqExact(person), uniqExact(actor) FROM events")
    finally:
        await connection.close()
    expected = sorted(
        (w["grain"], ms(w["start"]), w["dimension"], " / ".join(w["value"]), w["events"],
         int(Decimal(w["amount"]) * 1_000_000), w["users"], w["sessions"], w["registrations"])
        for w in measured["activity"]
    )  # fmt: skip
    assert [tuple(row) for row in windows] == expected
    assert [(*row[:4], list(row[4])) for row in cohorts] == sorted(
        (c["funnel"], ms(c["start"]), c["breakdown"], c["value"], c["users"]) for c in measured["funnels"]
    )
    assert persons < ids - 20
    assert told["windows"] == len(windows)
    verified = json.loads(await streamgauge(settings, "verify", "--plan", plan, "--json", stream="history"))
    assert verified["ok"]
    assert verified["windows"] == len(windows)

    # The same again is one clear line, unless it is meant.
    said = await streamgauge(settings, "rebuild", file, "--plan", plan, code=2)
    assert said == (
        f"streamgauge: the stream history has {distinct:,} events already: if they are of these files, --again stores "
        "them anew, else --stream names another\n"
    )
    again = json.loads(await streamgauge(settings, "rebuild", file, "--plan", plan, "--again", "--json", code=1))
    assert (again["events"], again["windows"], again["funnels"]) == (distinct, told["windows"], told["funnels"])
    file.write_text("\n".join(lines[: len(lines) // 2]) + "\n")
    said = await streamgauge(settings, "rebuild", file, "--plan", plan, "--again", code=2)
    assert f"has {distinct} events, of which these files have" in said


async def test_a_changed_plan_is_counted_of_what_is_stored(settings: Settings, plan: Path, tmp_path: Path) -> None:
    file = tmp_path / "year.jsonl"
    file.write_text("\n".join(events(2, 400)) + "\n")
    await streamgauge(settings, "rebuild", file, "--plan", plan, "--stream", "y2025")
    plan.write_text(PLAN.replace("[platform, [event", "[event, platform, [event").replace("window: 1d", "window: 2h"))
    before = await streamgauge(settings, "verify", "--plan", plan, "--json", stream="y2025")
    assert "the dimension event is in this plan, but nothing was counted live by it" in before
    await streamgauge(settings, "rebuild", "--plan", plan, "--stream", "y2025")
    after = json.loads(await streamgauge(settings, "verify", "--plan", plan, "--json", stream="y2025"))
    assert (after["ok"], after["in_one_plan"]) == (True, [])


async def test_a_stream_of_another_topic_is_that_of_its_worker(settings: Settings, plan: Path, tmp_path: Path) -> None:
    file = tmp_path / "year.jsonl"
    file.write_text("\n".join(events(3, 200)) + "\n")
    asked = ["rebuild", "--plan", plan, "--stream", "other"]
    stored = json.loads(await streamgauge(settings, *asked, file, "--json"))
    connection = Connection(settings)
    try:
        await connection.insert("topics_raw", ["stream", "topic", "id"], [["other"], ["events-b"], ["ab12"]])
    finally:
        await connection.close()
    said = await streamgauge(settings, *asked, file, "--again", code=2)
    assert "the stream other is that of Kafka's log: give files another, with --stream" in said
    # Every row is of the version up to which the stream is folded: a worker might write each again.
    assert stored["windows"] > 0
    assert json.loads(await streamgauge(settings, *asked, "--json"))["windows"] == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--stream", "main"], "the stream main is that of Kafka's log: give files another, with --stream"),
        (["--stream", "a/b"], "--stream 'a/b' is not a name: letters, digits, . _ -"),
        ([], "line 1: it has no time: name its column with --map ts=COLUMN"),
    ],
)
async def test_what_can_not_be_stored_is_one_clear_line(
    settings: Settings, plan: Path, tmp_path: Path, words: list[str], said: str
) -> None:
    file = tmp_path / "year.jsonl"
    file.write_text('{"event": "look", "user_id": "u1"}\n')
    err = await streamgauge(settings, "rebuild", file, "--plan", plan, *words, code=2)
    assert said in err
    assert err.count("\n") == 1
