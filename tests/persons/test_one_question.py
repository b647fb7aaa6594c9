"""The first question of anybody who runs a product, asked of the simulated shop in each way that there is.

Two weeks of it, of 1,334 people, who come with 1,688 ids. Who of those that opened the app signed up within 7 days?
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from persons.cluster import held
from whole_system import command

from pipeline.clickhouse.client import Connection
from pipeline.embedded.clickhouse import EmbeddedClickHouse
from pipeline.ingest.validate import Validator
from pipeline.measure.accumulator import users_of
from pipeline.replay.log import batches
from pipeline.settings import Settings
from pipeline.state.partition import PartitionState
from schemas.duration import DAY
from schemas.plan_io import load_plan, parse_plan

pytestmark = pytest.mark.integration

SIMULATED = ("simulate", "--days", "14", "--events", "60000", "--end", "2026-11-22")
PEOPLE, IDS = 1_334, 1_688
#: Of the cohorts of each day, added up; and of the two weeks, in which each person counts once.
BY_DAY, ONCE = [5_606, 717], [1_334, 354]
STEPS = ("app_open", "sign_up")


def plan_text() -> str:
    """The shop's plan with this one funnel, and one that follows every event of everybody; nothing is forgotten."""
    funnels = {
        "acquisition": {"steps": list(STEPS), "window": "7d"},
        "anybody": {"steps": ["app_open"], "window": "1d", "modes": ["strict_order"]},
    }
    shop = load_plan("shop").model_dump(mode="json", exclude={"funnels", "alerting", "meanings"})
    return yaml.safe_dump(shop | {"funnels": funnels, "lateness": "30d"})


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the events, the people and the plan."""
    folder = tmp_path_factory.mktemp("simulated")
    done = command(*SIMULATED, "-o", str(folder / "events.jsonl"), "--people", str(folder / "people.jsonl"))
    assert done.returncode == 0, done.stderr
    (folder / "plan.yaml").write_text(plan_text(), "utf-8")
    return folder


def persons_by_truth(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """By person the events, by what the simulator says of who is who, and nothing of ours."""
    person_of: dict[str, str] = {}
    for number, line in enumerate((folder / "people.jsonl").read_text("utf-8").splitlines()):
        person = json.loads(line)
        for one in [person["user_id"], *person["devices"]]:
            person_of[one] = str(number)
    found: dict[str, list[dict[str, Any]]] = {}
    for line in (folder / "events.jsonl").read_text("utf-8").splitlines():
        event = json.loads(line)
        found.setdefault(person_of[event.get("user_id") or event["anonymous_id"]], []).append(event)
    return found


def signed_up(events: list[dict[str, Any]], since: int, until: int) -> list[bool]:
    """Whether somebody opened the app in this time, and then signed up within 7 days."""
    opened = [event["ts"] for event in events if event["event"] == STEPS[0] and since <= event["ts"] < until]
    new = [event["ts"] for event in events if event["event"] == STEPS[1]]
    return [bool(opened), any(0 <= ts - first <= 7 * DAY for first in opened for ts in new)]


def steps_of(persons: dict[str, list[dict[str, Any]]], since: int, until: int) -> list[int]:
    return [sum(taken) for taken in zip(*[signed_up(events, since, until) for events in persons.values()], strict=True)]


END = 1_795_276_800_000  # midnight of 2026-11-22 in Shanghai


def test_the_simulator_knows_the_answer(simulated: Path) -> None:
    persons = persons_by_truth(simulated)
    ids = {event.get("user_id") or event["anonymous_id"] for events in persons.values() for event in events}
    assert (len(persons), len(ids)) == (PEOPLE, IDS)
    days = [steps_of(persons, END - n * DAY, END - (n - 1) * DAY) for n in range(14, 0, -1)]
    assert [sum(day) for day in zip(*days, strict=True)] == BY_DAY
    assert steps_of(persons, END - 14 * DAY, END) == ONCE


@pytest.mark.parametrize("by", [(), ("--sql",)], ids=["live", "sql"])
def test_replay_gives_it(simulated: Path, by: tuple[str, ...], needs_embedded: None) -> None:
    plan = str(simulated / "plan.yaml")
    done = command("replay", str(simulated / "events.jsonl"), "--plan", plan, "--json", *by)
    assert done.returncode == 0, done.stderr
    overall = [one for one in json.loads(done.stdout)["overall"] if one["funnel"] == "acquisition"]
    assert [one["users"] for one in overall if one["breakdown"] == ""] == [BY_DAY]


def test_live_counts_as_many_persons_as_there_are_people(simulated: Path) -> None:
    plan = parse_plan(plan_text())
    state = PartitionState(plan, Validator(plan), 0, 1)
    for batch in batches(iter((simulated / "events.jsonl").read_bytes().splitlines())):
        state.fold(batch)
    # Exactly, where a funnel follows everybody; by the sketches of all minutes together, within four of their errors.
    anybody = [entries for (name, _, _), entries in state.funnels.all_actors() if name == "anybody"]
    assert len({actor for entries in anybody for actor in held(entries)}) == PEOPLE
    minutes = [
        found for key, found in state.activity.accumulators.items() if (key.grain, key.dimension) == ("minute", "")
    ]
    assert users_of(minutes) == pytest.approx(PEOPLE, rel=4 * 0.01625)
    state.activity.close()


async def test_the_archive_has_as_many_persons_and_metrics_give_the_answer(
    simulated: Path, tmp_path: Path, needs_embedded: None
) -> None:
    async with EmbeddedClickHouse(tmp_path / "clickhouse") as server:
        env = server.environment | {"PIPELINE_PLAN": str(simulated / "plan.yaml")}

        async def run(*words: str) -> str:
            done = await asyncio.to_thread(command, *words, env=env)
            assert done.returncode == 0, done.stderr
            return done.stdout

        await run("migrate")
        await run(*SIMULATED, "--insert")
        connection = Connection(Settings(**server.access))
        try:
            counts = await connection.query("SELECT uniqExact(person), uniqExact(actor) FROM events")
            assert [tuple(row) for row in counts] == [(PEOPLE, IDS)]
            assert [tuple(row) for row in await connection.query("SELECT count() FROM persons")] == [(PEOPLE,)]
        finally:
            await connection.close()
        period = ("--from", "2026-11-08", "--to", "2026-11-21", "--within", str(7 * DAY // 1000))
        rows = json.loads(
            await run("metrics", "run", "funnel", "--steps", ",".join(STEPS), *period, "--format", "json")
        )
        assert [(row["event"], row["users"]) for row in rows] == list(zip(STEPS, ONCE, strict=True))
