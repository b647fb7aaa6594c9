"""The two production roles, one process each: worker and archiver. Started by the command, ended by signals."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Iterable
from typing import Any

from pipeline.errors import UserError
from pipeline.live.bridge import Bridge
from pipeline.live.metrics import ArchiverCollector, WorkerCollector, registry
from pipeline.live.numbers import snapshot
from pipeline.live.server import LiveServer
from pipeline.settings import Settings
from pipeline.store.archiver import Archiver
from pipeline.store.publisher import Publisher
from pipeline.stream.app import WorkerApp, background, make_app
from pipeline.stream.topics import ensure_topics
from schemas.plan import Plan
from schemas.plan_io import PlanError, load_plan, ready_plans

log = logging.getLogger(__name__)

#: A graceful stop takes no longer: what was not saved by then is folded or stored again by the next owner.
STOP_SECONDS = 10.0
#: Of which for the parts of a worker's: together they leave a second.
_SAVE_SECONDS, _PUBLISH_SECONDS, _LEAVE_SECONDS = 4.0, 2.0, 3.0


def plan_of(settings: Settings) -> Plan:
    """The plan that the settings name; raises UserError with every mistake in it."""
    try:
        return load_plan(settings.plan)
    except PlanError as exc:
        raise UserError(str(exc)) from None
    except FileNotFoundError:
        ready = ", ".join(ready_plans())
        raise UserError(f"there is no plan {settings.plan}: give a YAML file, or one of {ready}") from None
    except OSError as exc:
        raise UserError(f"the plan {settings.plan} can't be read: {exc.strerror}") from None


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
        lambda: worker_health(app),
        lambda: live_numbers(app),
    )
    stop = _stop_event()
    await server.start()
    announce("worker", server.port)
    _collect_seldom()
    try:
        await app.start()
        async with background(app) as loops:
            await _until([stop.wait(), app.wait_until_stopped(), *loops])
            if app.crash_reason is not None:
                raise app.crash_reason
    finally:
        _end_in_time(sys.exception())
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
        await _at_most(_SAVE_SECONDS, "the last checkpoint", app.checkpoint())
        await _at_most(_PUBLISH_SECONDS, "publishing the last rows", app.publish())
    await _at_most(_LEAVE_SECONDS, "leaving the consumer group", app.stop())


async def run_archiver(settings: Settings) -> None:
    """Archive the events topic until SIGTERM; raises what ended it otherwise."""
    plan = plan_of(settings)
    partitions = await ensure_topics(settings)
    archiver = Archiver(settings, plan, partitions)
    server = LiveServer(
        settings.metrics_host, settings.metrics_port, registry(ArchiverCollector(archiver)), archiver.health
    )
    stop = _stop_event()
    await server.start()
    announce("archiver", server.port)
    _collect_seldom()
    running = asyncio.create_task(archiver.run(), name="archiver")
    try:
        await _until([stop.wait(), running])
    finally:
        _end_in_time(sys.exception())
        archiver.stop()
        # With ClickHouse away it would try for ever; what was not inserted is read again, as it is not committed.
        await asyncio.wait({running}, timeout=_SAVE_SECONDS)
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        await server.stop()


def _collect_seldom() -> None:
    """A batch makes some 20,000 objects and hardly a cycle: collecting every 700 is work for nothing."""
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)


async def run_bridge(settings: Settings, plan: Plan, host: str, port: int) -> None:
    """Pass alerts on to robots until SIGTERM."""
    bridge = Bridge(settings, plan, host, port)
    stop = _stop_event()
    await bridge.start()
    announce("bridge", bridge.port)
    try:
        await stop.wait()
    finally:
        await bridge.stop()


def worker_health(app: WorkerApp) -> dict[str, Any]:
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


def live_numbers(app: WorkerApp) -> dict[str, Any]:
    """What `/live` shows."""
    numbers = snapshot(list(app.store.states.values()), app.plan, int(time.time() * 1000))
    numbers["lag"] = app.total_lag()
    numbers["unpublished"] = sum(state.unpublished for state in app.store.states.values())
    numbers["publish_error"] = app.publish_error
    return numbers


def announce(role: str, port: int) -> None:
    """One line of JSON on standard output, for whoever started the process: where it can be asked."""
    print(json.dumps({"role": role, "metrics_port": port}), flush=True)


def _stop_event() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    return stop


async def _until(awaitables: Iterable[Any]) -> None:
    """Wait for the first to end, raise what it raised, and cancel those that were only waits."""
    tasks = {asyncio.ensure_future(item) for item in awaitables}
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        if task.get_name().startswith("Task-"):
            task.cancel()
    for task in done:
        task.result()


def _end_in_time(reason: BaseException | None) -> None:
    """End the process at once when its stop has taken its time; `reason` is what made it stop, None a signal.

    Without Kafka, a task of a client can ignore that it is cancelled, and the event loop would wait for it.
    """

    def end() -> None:
        what = f"{type(reason).__name__}: {reason}" if reason is not None else "asked to end"
        print(f"streamgauge: {what}; the stop took longer than {STOP_SECONDS:.0f} s", file=sys.stderr, flush=True)
        os._exit(3)

    timer = threading.Timer(STOP_SECONDS, end)
    timer.daemon = True
    timer.start()


async def _at_most(seconds: float, what: str, work: Any) -> None:
    try:
        await asyncio.wait_for(work, seconds)
    except TimeoutError:
        log.warning("%s took longer than %s s: going on without it", what, seconds)
