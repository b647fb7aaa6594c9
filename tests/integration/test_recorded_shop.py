"""A recorded shop that we did not make (Retentioneering's ecom data set, Apache-2.0): its published figures."""

from __future__ import annotations

import gzip
import json
from itertools import islice
from pathlib import Path

import pytest
from whole_system import ROOT, Start, command, last_json, rows, until

from pipeline.demo.run import drained
from pipeline.demo.system import System
from pipeline.queries.verify import verify
from pipeline.settings import plan_of

pytestmark = pytest.mark.integration

DATA = ROOT / "tests" / "data" / "ecom"
MAPPING = "user_id=user_id,session_id=session_id,event=event,ts=timestamp,platform=platform,channel=acquisition_channel"


@pytest.fixture
def published() -> dict[str, object]:
    found: dict[str, object] = json.loads((DATA / "published.json").read_text())["published"]
    return found


def _send(system: System, file: Path) -> dict[str, int]:
    done = command("send", str(file), "--map", MAPPING, "--json", env=system.settings.environment())
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, int] = last_json(done.stdout)
    return found


async def test_the_published_figures(start: Start, published: dict[str, object]) -> None:
    system = await start(plan="ecom")
    assert _send(system, DATA / "ecom.csv.gz")["sent"] == published["events"] == 31106
    totals = await drained(system, 31106)
    assert (totals["accepted"], totals["late"], totals["rejected"], totals["duplicate"]) == (31106, 0, 0, 0)

    assert (await rows(system, "SELECT count(), uniqExact(actor), uniqExact(session_id) FROM events"))[0] == (
        31106,
        600,
        3605,
    )
    by_gap = await rows(
        system,
        "SELECT countIf(gap IS NULL OR gap > 1800000) FROM (SELECT toUnixTimestamp64Milli(ts) - lagInFrame("
        "toNullable(toUnixTimestamp64Milli(ts))) OVER (PARTITION BY actor ORDER BY ts ROWS BETWEEN 1 PRECEDING AND "
        "CURRENT ROW) AS gap FROM events)",
    )
    assert by_gap == [(published["sessions_30m_gap"],)]
    counts = await rows(system, "SELECT event, count() FROM events GROUP BY event")
    assert dict(counts) == published["event_counts"]
    funnel = await rows(
        system,
        "SELECT countIf(level >= 1), countIf(level >= 2), countIf(level >= 3), countIf(level >= 4) FROM ("
        "SELECT windowFunnel(31536000000)(toUInt64(toUnixTimestamp64Milli(ts)), event = 'catalog', "
        "event = 'add_to_cart', event = 'cart', event = 'purchase') AS level FROM events GROUP BY actor)",
    )
    assert list(funnel[0]) == list(published["funnel_users"].values()) == [600, 511, 431, 225]  # type: ignore[attr-defined]
    bounds = (await rows(system, "SELECT toString(min(ts)), toString(max(ts)) FROM events"))[0]
    assert (bounds[0][:19], bounds[1][:19]) == (published["min"], published["max"])

    # Live: every day of half a year is there, with its users and funnels, equal to the SQL.
    result = await verify(system.settings, plan_of(system.settings))
    assert result.differences == []
    assert result.windows > 10_000
    assert result.funnels > 1_000
    live = await rows(
        system,
        "SELECT value, sum(events) FROM live_activity WHERE grain = 'day' AND dimension = 'event' GROUP BY value",
    )
    assert dict(live) == published["event_counts"]


@pytest.fixture
def beginning(tmp_path: Path) -> Path:
    """The first 6,000 events, for what needs no more."""
    with gzip.open(DATA / "ecom.csv.gz", "rt", encoding="utf-8") as whole:
        file = tmp_path / "beginning.csv"
        file.write_text("".join(islice(whole, 6001)), "utf-8")
    return file


async def test_sending_a_file_twice_counts_it_once(start: Start, beginning: Path) -> None:
    system = await start(plan="ecom")
    _send(system, beginning)
    _send(system, beginning)
    totals = await drained(system, 12000)
    assert (totals["accepted"], totals["duplicate"]) == (6000, 6000)
    assert await rows(system, "SELECT count() FROM events") == [(6000,)]


async def test_old_events_are_stored_in_full_though_too_late_to_count(start: Start, tmp_path: Path) -> None:
    text = (ROOT / "schemas" / "plans" / "ecom.yaml").read_text().replace("lateness: 400d", "lateness: 1h")
    plan = tmp_path / "short.yaml"
    plan.write_text(text)
    system = await start(plan=str(plan))
    _send(system, DATA / "ecom.csv.gz")
    totals = await drained(system, 31106)
    assert totals["accepted"] + totals["late"] == 31106
    assert totals["late"] > 20_000
    assert await rows(system, "SELECT count(), countIf(late) FROM events") == [(31106, totals["late"])]
    assert (await verify(system.settings, plan_of(system.settings))).differences == []


async def test_a_killed_worker_changes_nothing(start: Start) -> None:
    system = await start(plan="ecom")
    first = system.worker.process
    assert first is not None
    _send(system, DATA / "ecom.csv.gz")

    async def under_way() -> bool:
        numbers = await system.worker.ask("/live")
        return bool(numbers and numbers["totals"].get("accepted"))

    await until(under_way, "counting")
    first.kill()

    async def another() -> bool:
        return system.worker.process is not first and await system.worker.ask("/live") is not None

    await until(another, "the restart of the worker")
    totals = await drained(system, 31106)
    assert totals["accepted"] == 31106
    assert (await verify(system.settings, plan_of(system.settings))).differences == []
