"""The worker as a process: started by the command, ended by a signal or by what it can't go on with."""

from __future__ import annotations

import gc
import sys
import time
from typing import Any, Final

from pipeline.kafka.topic import watch
from pipeline.process import announce, at_most, collect_seldom, end_in_time, first_of, stop_event
from pipeline.serve.answers import LiveAnswer
from pipeline.serve.numbers import snapshot
from pipeline.serve.server import LiveServer, registry
from pipeline.settings import Settings, plan_of
from pipeline.topics import ensure_topic
from pipeline.worker.app import WorkerApp
from pipeline.worker.collector import WorkerCollector
from pipeline.worker.make import background, make_app
from pipeline.worker.publisher import Publisher

#: After so long without a step it is said that there is none; the watchdog ends the worker later.
STUCK_SECONDS: Final = 10.0
SILENT_SECONDS: Final = 10.0
#: For the parts of a stop: together they leave a second of what a process has for it.
_SAVE_SECONDS, _PUBLISH_SECONDS, _LEAVE_SECONDS = 4.0, 2.0, 3.0


async def run_worker(settings: Settings) -> None:
    """Fold the events topic until SIGTERM; raises what ended it otherwise."""
    plan = plan_of(settings)
    topic = await ensure_topic(settings)
    publisher = Publisher(settings, plan)
    app = make_app(settings, plan, topic.partitions, publisher, topic.id)
    server = LiveServer(
        settings.metrics_host,
        settings.metrics_port,
        registry(WorkerCollector(app)),
        lambda: health(app),
        lambda: live_numbers(app),
        allowed_hosts=settings.allowed_hosts,
    )
    stop = stop_event()
    await server.start()
    announce("worker", metrics_port=server.port)
    collect_seldom()
    try:
        await app.start()
        async with background(app) as loops:
            await first_of(stop.wait(), app.wait_until_stopped(), watch(settings, topic), *loops)
            if app.crash_reason is not None:
                raise app.crash_reason
    finally:
        end_in_time(sys.exception())
        await _stop_app(app)
        await publisher.close()
        await server.stop()
        app.store.close()
        gc.unfreeze()
        gc.collect()


async def _stop_app(app: WorkerApp) -> None:
    """Save, publish and leave the group, each in its time: a dependency that is silent must not keep us.

    Raises nothing for that: what was not saved is folded again by the next owner, and whatever ended the worker
    is what should be told.
    """
    if app.failure is None and app.crash_reason is None and not app.rebalancing:
        await at_most(_SAVE_SECONDS, "the last checkpoint", app.checkpoints.write())
        await at_most(_PUBLISH_SECONDS, "publishing the last rows", app.publishing.publish())
    await at_most(_LEAVE_SECONDS, "leaving the consumer group", app.stop())


def health(app: WorkerApp) -> dict[str, Any]:
    """Whether the worker does its work, and what keeps it from that."""
    now = time.monotonic()
    problems = {**_dead(app), **_late(app, now)}
    # Without ClickHouse the live numbers go on, and a record that is set aside stops nothing: problems to see, and no
    # reason to be taken out of service.
    ready = not problems
    if app.publishing.error:
        problems["clickhouse"] = f"live rows wait: {app.publishing.error}"
    missing = {p: state.missing for p, state in sorted(app.store.states.items()) if state.missing}
    if missing:
        lost = ", ".join(f"{number} of partition {p}" for p, number in missing.items())
        problems["gaps"] = f"records were gone from Kafka before they were counted: {lost}"
    if app.counters.unforeseen:
        problems["records"] = (
            f"{app.counters.unforeseen} set aside because of a mistake in this program, the last: "
            f"{app.counters.last_unforeseen}"
        )
    held_since = app.progress.held_since
    if held_since is not None and now - held_since > STUCK_SECONDS:
        waiting = f"{app.progress.held_back()} offsets wait for {now - held_since:.0f} s"
        problems["transactions"] = f"{waiting} for a producer to end its transaction"
    return {"role": "worker", "ready": ready, "problems": problems, "partitions": sorted(app.store.states)}


def _dead(app: WorkerApp) -> dict[str, str]:
    """What has ended and should not have."""
    problems: dict[str, str] = {}
    if app.failure is not None:
        problems["folding"] = str(app.failure)
    log = app.progress.fetching()
    if log is not None and log.failure is not None:
        problems["fetching"] = repr(log.failure)
    for task in app.loops:
        if task.done() and not task.cancelled():
            problems[task.get_name()] = f"has ended: {task.exception()!r}"
    return problems


def _late(app: WorkerApp, now: float) -> dict[str, str]:
    """What should have happened by now."""
    problems: dict[str, str] = {}
    if app.delivery.failing_since is not None:
        problems["kafka"] = f"sends failing for {now - app.delivery.failing_since:.0f} s: {app.delivery.last_error}"
    if app.rebalancing or not app.tables.recovery.completed.is_set():
        problems["partitions"] = "a rebalance or recovery is under way"
        return problems
    publishing, progress = app.publishing, app.progress
    if publishing.holding_since is not None:
        problems["holding"] = (
            f"counting waits for {now - publishing.holding_since:.0f} s: {publishing.waiting_rows} rows wait for "
            f"ClickHouse, and no more may (PIPELINE_MAX_UNPUBLISHED_ROWS); Kafka keeps the records"
        )
        return problems
    silent = progress.silent_for()
    if silent > SILENT_SECONDS and "kafka" not in problems:
        problems["kafka"] = f"no answer for {silent:.0f} s"
    elif progress.total_lag() and now - progress.at > STUCK_SECONDS:
        problems["folding"] = f"nothing folded for {now - progress.at:.0f} s, {progress.total_lag()} records wait"
    allowed = max(STUCK_SECONDS, 3 * app.settings.checkpoint_interval_s)
    if "kafka" not in problems and now - app.checkpoints.last_at > allowed:
        problems["checkpoints"] = f"the last one was {now - app.checkpoints.last_at:.0f} s ago"
    # An insert has its own time to answer; there are four.
    since = publishing.since
    if since is not None and now - since > STUCK_SECONDS + 4 * app.settings.clickhouse_timeout_s:
        problems["publishing"] = f"under way for {now - since:.0f} s"
    return problems


def live_numbers(app: WorkerApp) -> LiveAnswer:
    """What `/live` shows."""
    states, now = list(app.store.states.values()), int(time.time() * 1000)
    return snapshot(states, app.plan, now, lag=app.progress.total_lag(), publish_error=app.publishing.error)
