"""What every long-running process of ours does: say where it is, stop when asked, and end in time."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Awaitable, Coroutine
from typing import Any

log = logging.getLogger(__name__)

#: A graceful stop takes no longer: what was not saved by then is folded or stored again by the next owner.
STOP_SECONDS = 10.0
#: A task that was cancelled and goes on after so long is cancelled again.
_AGAIN_SECONDS = 0.5


def address(host: str, port: int | str) -> str:
    """`host:port` as an address of the web writes it: an IPv6 host stands in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def announce(role: str, **where: int | str) -> None:
    """One line of JSON on standard output, for whoever started the process: where it can be asked."""
    print(json.dumps({"role": role, **where}), flush=True)


def notify(*state: str) -> None:
    """Tell systemd (`Type=notify`) how it stands: `READY=1`, `STATUS=…`; nothing where nobody asked to be told.

    One datagram (https://www.freedesktop.org/software/systemd/man/sd_notify.html). That nobody reads it stops nothing.
    """
    where = os.environ.get("NOTIFY_SOCKET", "")
    if where[:1] not in ("/", "@"):
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        try:
            sender.sendto("\n".join(state).encode(), "\0" + where[1:] if where.startswith("@") else where)
        except OSError as exc:
            log.warning("%s could not be told that %s: %s", where, state[0], exc)


async def keep_watchdog() -> None:
    """Give systemd a sign of life as often as it asks for one (`WatchdogSec`), or none; for ever."""
    asked, mine = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID", str(os.getpid()))
    if not asked.isdecimal() or int(asked) == 0 or mine != str(os.getpid()):
        await asyncio.Event().wait()
    while True:
        notify("WATCHDOG=1")
        await asyncio.sleep(int(asked) / 3e6)


def stop_event() -> asyncio.Event:
    """An event that is set by Ctrl-C and SIGTERM."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    return stop


async def first_of(*work: Coroutine[Any, Any, Any] | asyncio.Future[Any]) -> None:
    """Wait for the first to end and raise what it raised.

    What was given as a coroutine is cancelled then; a task or future goes on, it belongs to whoever made it.
    """
    tasks = {asyncio.ensure_future(item) for item in work}
    ours = [task for task in tasks if task not in work]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        # Also when we are cancelled ourselves: nobody else knows of them.
        await cancelled(*ours)
    for task in done:
        task.result()


async def cancelled(*tasks: asyncio.Future[Any]) -> None:
    """Cancel and wait until all have ended, with whatever result.

    Until they have, and not once: a cancellation is lost where a library waits for something that it has cancelled
    itself (aiokafka's client while it closes), and by `asyncio.wait_for` of Python 3.11 when what it waits for is done.
    A loop around that would go on for ever, and the process with it. Who is cancelled while waiting here cancels the
    tasks once more, and leaves none behind.
    """
    left, interrupted = set(tasks), False
    while left:
        for task in left:
            task.cancel()
        try:
            _, left = await asyncio.wait(left, timeout=_AGAIN_SECONDS)
        except asyncio.CancelledError:
            interrupted = True
    await asyncio.gather(*tasks, return_exceptions=True)
    if interrupted:
        raise asyncio.CancelledError


async def at_most(seconds: float, what: str, work: Awaitable[Any]) -> None:
    """Wait for `work` so long at the most; then it is cancelled, which is logged."""
    try:
        await asyncio.wait_for(work, seconds)
    except TimeoutError:
        log.warning("%s took longer than %s s: going on without it", what, seconds)


def collect_seldom() -> None:
    """A batch makes some 20,000 objects and hardly a cycle: collecting every 700 is work for nothing."""
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)


def end_in_time(reason: BaseException | None) -> None:
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
