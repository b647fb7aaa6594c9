"""What a worker and an archiver say of themselves: the state of the work, not of the process."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.archiver.archiver import Archiver
from pipeline.errors import BrokenPromiseError
from pipeline.settings import Settings
from pipeline.worker.app import WorkerApp
from pipeline.worker.make import make_app
from pipeline.worker.role import health
from schemas.plan import Plan

PLAN = Plan.model_validate({"product": "Test", "events": {"look": {}}})


@pytest.fixture
def app() -> WorkerApp:
    """A worker whose recovery is done, as if it had just worked."""
    made = make_app(Settings(), PLAN, 1, None)
    made.tables.recovery.completed.set()
    made.rebalancing = False
    return made


def test_all_is_well(app: WorkerApp) -> None:
    assert health(app) == {"role": "worker", "ready": True, "problems": {}, "partitions": []}


async def test_a_fold_that_has_failed_is_told_at_once(app: WorkerApp) -> None:
    app.fail(BrokenPromiseError("folding failed: partition 0, offsets 5 to 9: KeyError('x')"))
    found = health(app)
    assert found["ready"] is False
    assert found["problems"]["folding"] == "folding failed: partition 0, offsets 5 to 9: KeyError('x')"
    with pytest.raises(BrokenPromiseError, match="offsets 5 to 9"):
        await app.failing()


@pytest.mark.parametrize("name", ["checkpoints", "publishing", "watchdog"])
async def test_a_loop_that_has_died_is_told_at_once(app: WorkerApp, name: str) -> None:
    async def dying() -> None:
        raise ZeroDivisionError("a mistake")

    task = asyncio.create_task(dying(), name=name)
    await asyncio.wait({task})
    app.loops = [task]
    found = health(app)
    assert (found["ready"], found["problems"]) == (False, {name: "has ended: ZeroDivisionError('a mistake')"})


@pytest.mark.parametrize(
    ("what", "value", "problem", "ready"),
    [
        ("checkpoints.last_at", -31.0, {"checkpoints": "the last one was 31 s ago"}, False),
        ("publishing.since", -300.0, {"publishing": "under way for 300 s"}, False),
        ("publishing.since", -20.0, {}, True),
        ("publishing.error", "no route", {"clickhouse": "live rows wait: no route"}, True),
    ],
)
def test_what_hangs_is_told(app: WorkerApp, what: str, value: Any, problem: dict[str, str], ready: bool) -> None:
    part, _, name = what.partition(".")
    setattr(getattr(app, part), name, time.monotonic() + value if isinstance(value, float) else value)
    found = health(app)
    assert (found["ready"], found["problems"]) == (ready, problem)


def test_a_record_that_was_set_aside_is_seen_and_keeps_the_worker_in_service(app: WorkerApp) -> None:
    app.counters.set_aside("partition 0, offset 5: KeyError: 'x'")
    found = health(app)
    assert found["ready"] is True
    assert found["problems"]["records"] == (
        "1 set aside because of a mistake in this program, the last: partition 0, offset 5: KeyError: 'x'"
    )


def test_work_that_stands_still_is_told(app: WorkerApp, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.monotonic()
    fetcher = SimpleNamespace(failure=ZeroDivisionError("a mistake"), answered_at=now)
    with monkeypatch.context() as patch:
        patch.setattr(app.progress, "fetching", lambda: fetcher)
        assert health(app)["problems"] == {"fetching": "ZeroDivisionError('a mistake')"}
        assert health(app)["ready"] is False
    with monkeypatch.context() as patch:
        patch.setattr(app.progress, "total_lag", lambda: 5)
        app.progress.at = now - 11
        assert health(app)["problems"] == {"folding": "nothing folded for 11 s, 5 records wait"}
        patch.setattr(app.progress, "total_lag", lambda: 0)  # nothing to fold is no standstill
        assert health(app) == {"role": "worker", "ready": True, "problems": {}, "partitions": []}
    with monkeypatch.context() as patch:
        patch.setattr(app.progress, "silent_for", lambda: 11.0)
        assert (health(app)["ready"], health(app)["problems"]) == (False, {"kafka": "no answer for 11 s"})
    app.delivery.failing_since, app.delivery.last_error = now - 7, "no leader"
    assert (health(app)["ready"], health(app)["problems"]) == (False, {"kafka": "sends failing for 7 s: no leader"})
    app.delivery.failing_since = None
    app.publishing.holding_since = now - 3
    assert health(app)["ready"] is False
    assert health(app)["problems"]["holding"].startswith("counting waits for 3 s: 0 rows wait for ClickHouse")


def test_a_rebalance_or_a_recovery_is_told(app: WorkerApp) -> None:
    app.rebalancing = True
    found = health(app)
    assert (found["ready"], found["problems"]) == (False, {"partitions": "a rebalance or recovery is under way"})


def test_an_archiver_whose_fetching_has_died_or_hears_nothing_is_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    archiver = Archiver(Settings(clickhouse_timeout_s=5.0), PLAN, partitions=1)
    archiver.progress.stored = {0: 5}
    now = archiver.progress.stepped_at = time.monotonic()
    fetcher = SimpleNamespace(failure=ZeroDivisionError("a mistake"), answered_at=now)
    consumer = SimpleNamespace(fetcher=fetcher, readable_end=lambda tp: 5)
    monkeypatch.setattr(archiver.progress, "consumer", consumer)
    found = archiver.health()
    assert (found["ready"], found["problems"]["fetching"]) == (False, "ZeroDivisionError('a mistake')")
    fetcher.failure, fetcher.answered_at = None, now - 12  # type: ignore[assignment]
    found = archiver.health()
    assert (found["ready"], found["problems"]["kafka"]) == (False, "not joined yet")
    monkeypatch.setattr(archiver.progress, "assigned", True)
    assert archiver.health()["problems"] == {"kafka": "no answer for 12 s"}


async def test_an_archiver_that_has_ended_or_stands_still_is_not_ready() -> None:
    archiver = Archiver(Settings(clickhouse_timeout_s=5.0), PLAN, partitions=1)
    archiver.progress.stepped_at = time.monotonic() - 16
    assert archiver.health()["problems"]["archiving"] == "nothing taken in for 16 s"
    broken = Archiver(Settings(kafka_bootstrap="127.0.0.1:1"), PLAN, partitions=1)
    with pytest.raises(Exception, match="127"):
        await broken.run()
    found = broken.health()
    assert found["ready"] is False
    assert "has ended" in found["problems"]["archiving"]
