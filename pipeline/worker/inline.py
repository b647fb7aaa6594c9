"""Faust's consumer thread without the thread: the same service in the event loop of the app.

Faust runs aiokafka in a thread of its own so that a slow agent can't keep it from sending heartbeats. Our agent
folds a bounded batch (some 50 ms) between two turns of the loop, and the second thread's price is high: it makes
validation take twice as long, because both compete for the interpreter's lock.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, cast

from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread
from mode import Service
from mode.utils.futures import maybe_async

from pipeline.kafka.consumer import MAX_POLL_INTERVAL_MS, LogConsumer

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

    def _create_worker_consumer(self, transport: Any) -> LogConsumer:
        # As Faust makes its own, but for the class and the wait: Faust's 1.5 s for an idle partition are also waited
        # by a busy one of the same broker.
        app = cast(Any, self.app)
        conf, settings = app.conf, app.settings
        self._assignor = app.assignor
        return LogConsumer(
            **settings.kafka_kwargs(),
            client_id=conf.broker_client_id,
            group_id=conf.id,
            partition_assignment_strategy=[self._assignor],
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_poll_records=conf.broker_max_poll_records,
            max_poll_interval_ms=MAX_POLL_INTERVAL_MS,
            max_partition_fetch_bytes=conf.consumer_max_fetch_size,
            fetch_max_wait_ms=_FETCH_WAIT_MS,
            request_timeout_ms=int(conf.broker_request_timeout * 1000),
            session_timeout_ms=int(conf.broker_session_timeout * 1000),
            rebalance_timeout_ms=int(conf.broker_rebalance_timeout * 1000),
            heartbeat_interval_ms=int(conf.broker_heartbeat_interval * 1000),
        )

    async def on_stop(self) -> None:
        """Stop the Kafka consumer."""
        await self.on_thread_stop()

    async def call_thread(self, fun: Callable[..., Awaitable[Any]], *args: Any, **kwargs: Any) -> Any:
        """Call directly: there is no other thread."""
        return await maybe_async(fun(*args, **kwargs))

    async def cast_thread(self, fun: Callable[..., Awaitable[Any]], *args: Any, **kwargs: Any) -> None:
        """Call directly, ignoring the result."""
        await maybe_async(fun(*args, **kwargs))
