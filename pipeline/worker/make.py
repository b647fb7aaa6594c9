"""The worker's Faust app, made from settings, and the loops that run beside it."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from pathlib import Path
from typing import Any

import faust

from pipeline.process import cancelled
from pipeline.settings import Settings
from pipeline.worker.app import WorkerApp
from pipeline.worker.publishing import RowSink
from pipeline.worker.table import PromptTableManager
from schemas.plan import Plan


def _credentials(settings: Settings) -> Any:
    context = settings.kafka_ssl_context()
    if settings.kafka_security_protocol.startswith("SASL"):
        password = settings.kafka_sasl_password
        return faust.SASLCredentials(
            username=settings.kafka_sasl_username,
            password=password.get_secret_value() if password else None,
            ssl_context=context,
            mechanism=settings.kafka_sasl_mechanism,
        )
    return faust.SSLCredentials(context=context) if context is not None else None


def make_app(settings: Settings, plan: Plan, partitions: int, sink: RowSink | None, topic_id: str = "") -> WorkerApp:
    """The app of a worker, ready to start."""
    servers = settings.kafka_bootstrap.split(",")
    app = WorkerApp(
        settings.group,
        broker=[f"kafka://{server.strip()}" for server in servers],
        broker_credentials=_credentials(settings),
        store="memory://",
        TableManager=PromptTableManager,
        autodiscover=False,
        web_enabled=False,
        datadir=str(settings.state_dir or Path(tempfile.gettempdir()) / "streamgauge"),
        topic_disable_leader=True,
        topic_replication_factor=settings.replication,
        topic_partitions=partitions,
        table_standby_replicas=0,
        consumer_auto_offset_reset="earliest",
        broker_session_timeout=settings.session_timeout_s,
        broker_heartbeat_interval=settings.session_timeout_s / 4,
        broker_request_timeout=max(40.0, settings.session_timeout_s * 2),
        broker_max_poll_records=5000,
        consumer_max_fetch_size=1 << 20,
        producer_acks=-1,
        producer_request_timeout=40.0,
        producer_max_request_size=16 << 20,
        producer_linger_ms=0,
        stream_buffer_maxsize=4,
        stream_recovery_delay=0.0,
        stream_wait_empty=True,
        stream_publish_on_commit=False,
    )
    app.setup(settings, plan, partitions, sink, topic_id)
    return app


@contextlib.asynccontextmanager
async def background(app: WorkerApp) -> Any:
    """Run the app's loops beside it; yields the tasks, whose first failure ends the worker."""
    tasks = [
        asyncio.create_task(app.checkpoints.run(), name="checkpoints"),
        asyncio.create_task(app.publishing.run(), name="publishing"),
        asyncio.create_task(app.progress.watch(), name="watchdog"),
        asyncio.create_task(app.failing(), name="folding"),
    ]
    app.loops = tasks
    try:
        yield tasks
    finally:
        await cancelled(*tasks)
