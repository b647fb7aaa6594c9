"""Faust's consumer thread without the thread: the same service in the event loop of the app.

Faust runs aiokafka in a thread of its own so that a slow agent can't keep it from sending heartbeats. Our agent
folds a bounded batch (some 50 ms) between two turns of the loop, and the second thread's price is high: it makes
validation take twice as long, because both compete for the interpreter's lock.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread
from mode import Service
from mode.utils.futures import maybe_async

_FETCH_WAIT_MS = 100


class InlineConsumerThread(AIOKafkaConsumerThread):
    """Overrides what `mode.threads.ServiceThread` adds to a service with what a plain service does."""

    abstract = False
    wait_for_shutdown = False  # of the thread, which there is none of

    def __init__(self, *args: Any, loop: Any = None, **kwargs: Any) -> None:
        super().__init__(*args, loop=loop, thread_loop=loop, **kwargs)

    maybe_start = Service.maybe_start
    start = Service.start
    stop = Service.stop
    crash = Service.crash
    set_shutdown = Service.set_shutdown
    _stopped_set = Service._stopped_set
    _stop_children = Service._stop_children
    _stop_futures = Service._stop_futures
    _stop_exit_stacks = Service._stop_exit_stacks

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        # Faust waits 1.5 s for an idle partition, and a busy one of the same broker waits with it.
        consumer._fetch_max_wait_ms = _FETCH_WAIT_MS
        return consumer

    async def on_stop(self) -> None:
        """Stop the Kafka consumer."""
        await self.on_thread_stop()

    async def call_thread(self, fun: Callable[..., Awaitable[Any]], *args: Any, **kwargs: Any) -> Any:
        """Call directly: there is no other thread."""
        return await maybe_async(fun(*args, **kwargs))

    async def cast_thread(self, fun: Callable[..., Awaitable[Any]], *args: Any, **kwargs: Any) -> None:
        """Call directly, ignoring the result."""
        await maybe_async(fun(*args, **kwargs))
