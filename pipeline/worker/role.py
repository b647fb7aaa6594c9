"""The worker as a process: started by the command, ended by a signal or by what it can't go on with."""

from __future__ import annotations

import gc
import sys
import time
from typing import Any

from pipeline.process import announce, at_most, collect_seldom, end_in_time, first_of, stop_event
from pipeline.serve.answers import LiveAnswer
from pipeline.serve.numbers import snapshot
from pipeline.serve.server import LiveServer, registry
from pipeline.settings import Settings, plan_of
from pipeline.topics import ensure_topics
from pipeline.worker.app import WorkerApp, background, make_app
from pipeline.worker.collector import WorkerCollector
from pipeline.worker.publisher import Publisher

#: For the parts of a stop: together they leave a second of what a process has for it.
_SAVE_SECONDS, _PUBLISH_SECONDS, _LEAVE_SECONDS = 4.0, 2.0, 3.0


async def run_worker(settings: Settings) -> None:
    """Fold the events topic until SIGTERM; raises what ended it otherwise."""
    plan = plan_of(settings)
    partitions = await ensure_topics(settings)
    publisher = Publisher(settings, plan)
    app = make_app(settings, plan, partitions, publisher)
    server = LiveServer(
        settings.metrics_host,
        settings.metrics_port,
        registry(WorkerCollector(app)),
        lambda: health(app),
        lambda: live_numbers(app),
    )
    stop = stop_event()
    await server.start()
    announce("worker", metrics_port=server.port)
    collect_seldom()
    try:
        await app.start()
        async with background(app) as loops:
            await first_of(stop.wait(), app.wait_until_stopped(), *loops)
            if app.crash_reason is not None:
                raise app.crash_reason
    finally:
        end_in_time(sys.exception())
        await _stop_app(app)
        await publisher.close()
        await server.stop()
        # Sketches that live when the interpreter ends are reported as leaks by their library.
        app.store.close()
        gc.unfreeze()
        gc.collect()


async def _stop_app(app: WorkerApp) -> None:
    """Save, publish and leave the group, each in its time: a dependency that is silent must not keep us.

    Raises nothing for that: what was not saved is folded again by the next owner, and whatever ended the worker
    is what should be told.
    """
    if app.crash_reason is None and not app.rebalancing:
        await at_most(_SAVE_SECONDS, "the last checkpoint", app.checkpoint())
        await at_most(_PUBLISH_SECONDS, "publishing the last rows", app.publish())
    await at_most(_LEAVE_SECONDS, "leaving the consumer group", app.stop())


def health(app: WorkerApp) -> dict[str, Any]:
    """Whether the worker is ready, and which dependency is ill."""
    problems: dict[str, str] = {}
    if app.delivery.failing_since is not None:
        seconds = time.monotonic() - app.delivery.failing_since
        problems["kafka"] = f"sends failing for {seconds:.0f} s: {app.delivery.last_error}"
    if app.publish_error:
        problems["clickhouse"] = f"live rows wait: {app.publish_error}"
    if app.rebalancing or not app.tables.recovery.completed.is_set():
        problems["partitions"] = "a rebalance or recovery is under way"
    # Without ClickHouse the live numbers go on: that is a problem to see, not a reason to be taken out of service.
    ready = not problems.keys() - {"clickhouse"}
    return {"role": "worker", "ready": ready, "problems": problems, "partitions": sorted(app.store.states)}


def live_numbers(app: WorkerApp) -> LiveAnswer:
    """What `/live` shows."""
    states, now = list(app.store.states.values()), int(time.time() * 1000)
    return snapshot(states, app.plan, now, lag=app.total_lag(), publish_error=app.publish_error)
