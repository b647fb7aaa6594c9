"""One Kafka node (KRaft, broker and controller in one process) that a test can stop, kill and freeze."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from kafka_harness.process import free_port, spawn
from kafka_harness.proxy import TcpProxy
from pipeline.embedded.kafka.jars import kafka_jars
from pipeline.embedded.kafka.java import java
from pipeline.embedded.kafka.node import SETTINGS, cluster_id, make_storage, properties, server_command
from pipeline.topics import needs_controller

_T = TypeVar("_T")
_PROBE = "harness-probe"  # the topic whose creation shows that the server is ready

_SETTINGS = {
    **SETTINGS,
    # A node that was killed may register again only when its last session is over.
    "broker.session.timeout.ms": "1000",
    "broker.heartbeat.interval.ms": "100",
}


class KafkaServer:
    """Kafka on 127.0.0.1, with its data in `data_dir`, until `kill()` or `stop()`.

    Clients that use `bootstrap` speak to it directly. Clients that use the `address` of one of `proxies` meet
    a listener that advertises the proxy, so that every byte of theirs passes it; the server's own traffic
    never does. All methods block; inside an event loop whose clients must go on meanwhile, call them with
    `asyncio.to_thread`. The process dies with the one that started it (on Linux), however that ends.
    """

    def __init__(
        self,
        data_dir: Path,
        port: int | None = None,
        extra: Mapping[str, str] | None = None,
        proxies: Sequence[TcpProxy] = (),
        heap_mb: int = 512,
    ) -> None:
        """`extra` are broker settings, over those of this module. Nothing is started yet."""
        self.data_dir = data_dir
        self.port = port or free_port()
        self.proxies = tuple(proxies)
        self.log = data_dir / "kafka.log"
        self.ready_seconds = 0.0  # how long the last start took, until a topic could be created
        self._heap_mb = heap_mb
        self._process: subprocess.Popen[bytes] | None = None
        data_dir.mkdir(parents=True, exist_ok=True)
        settings, listeners = {**_SETTINGS, **(extra or {})}, self._listeners(proxies)
        self._text = partial(properties, settings, listeners)
        self._properties = data_dir / "server.properties"
        self._properties.write_text(self._text(data_dir / "log"))

    @property
    def bootstrap(self) -> str:
        """`host:port` of the direct way, past all proxies."""
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The server's process id. Raises RuntimeError if it isn't running."""
        if self._process is None or self._process.poll() is not None:
            raise RuntimeError("Kafka is not running")
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process is there (frozen or not)."""
        return self._process is not None and self._process.poll() is None

    def start(self, timeout: float = 120) -> None:
        """Start on the data that is there, or on none. Returns when a topic can be created.

        Raises RuntimeError with the end of the server's log if it ends, or isn't ready in `timeout` seconds.
        """
        if self.running:
            raise RuntimeError("Kafka is running already")
        deadline = time.monotonic() + timeout
        program, jars, log = java(), kafka_jars(), self.data_dir / "log"
        if cluster_id(log) is None:
            make_storage(program, jars, self.log, log, self._text)
        began = time.monotonic()
        command = server_command(program, jars, self.log, self._properties, self._heap_mb)
        self._process = spawn(command, self.data_dir / "kafka.out")
        try:
            self._wait_ready(deadline)
        except BaseException:
            self.kill()
            raise
        self.ready_seconds = time.monotonic() - began

    def stop(self, timeout: float = 30) -> None:
        """Ask the server to end (SIGTERM) and wait. After `timeout` seconds: kill it, and RuntimeError."""
        self.resume()
        self._signal(signal.SIGTERM)
        try:
            self._wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise RuntimeError(self._story(f"Kafka did not stop within {timeout:g} s")) from None

    def kill(self) -> None:
        """End the server at once (SIGKILL), as a crash of its process would. Its data stays."""
        self._signal(signal.SIGKILL)
        self._wait(30)

    def restart(self, timeout: float = 60) -> None:
        """Stop if it runs, and start again on the same data and ports."""
        self.stop()
        self.start(timeout)

    def pause(self) -> None:
        """Freeze the server (SIGSTOP): connections stay open, nothing is answered."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Undo `pause` (SIGCONT)."""
        self._signal(signal.SIGCONT)

    def create_topics(self, topics: Mapping[str, int], config: Mapping[str, str] | None = None) -> None:
        """Create topics (name to number of partitions), all with the topic settings `config`.

        Returns when each partition has a leader. Raises aiokafka's KafkaError, one for all.
        """
        _run(self._create(topics, config or {}, deadline=time.monotonic() + 15))

    def _listeners(self, proxies: Sequence[TcpProxy]) -> dict[str, tuple[int, int]]:
        # name -> (port the server listens on, port it tells clients to use)
        ports = {"DIRECT": (self.port, self.port)}
        for number, proxy in enumerate(proxies):
            port = free_port()
            ports[f"PROXY{number}"] = (port, proxy.port)
            proxy.target = ("127.0.0.1", port)
        controller = free_port()
        return {**ports, "CONTROLLER": (controller, controller)}

    def _wait_ready(self, deadline: float) -> None:
        while True:
            if not self.running:
                raise RuntimeError(self._story("Kafka ended while starting"))
            try:
                _run(self._create({_PROBE: 1}, {}, deadline))
                return
            except TopicAlreadyExistsError:
                return
            except (KafkaError, OSError) as err:
                if time.monotonic() > deadline:
                    raise RuntimeError(self._story(f"Kafka was not ready in time ({err!r})")) from err
            time.sleep(0.05)

    async def _create(self, topics: Mapping[str, int], config: Mapping[str, str], deadline: float) -> None:
        # Not even a connection yet: aiokafka would log each failure as an error.
        _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.close()
        await writer.wait_closed()
        await needs_controller(bootstrap_servers=self.bootstrap)
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap, request_timeout_ms=10000)
        try:
            await admin.start()
            wanted = [NewTopic(name, count, 1, topic_configs=dict(config)) for name, count in topics.items()]
            answer = await admin.create_topics(wanted)
            codes = [code for _, code, *_ in answer.topic_errors]
            for code in codes:
                if code and for_code(code) is not TopicAlreadyExistsError:
                    raise for_code(code)(str(answer))
            while not _led(await admin.describe_topics(list(topics)), topics):
                if time.monotonic() > deadline:
                    raise TimeoutError(f"no leader for {sorted(topics)}")
                await asyncio.sleep(0.02)
            if any(codes):
                raise TopicAlreadyExistsError(str(answer))
        finally:
            await admin.close()

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)

    def _wait(self, timeout: float) -> None:
        if self._process is not None:
            self._process.wait(timeout)

    def _story(self, what: str) -> str:
        log = self.log.read_text(errors="replace") if self.log.exists() else ""
        return f"{what}. The end of {self.log}:\n{log[-3000:]}"


def _led(described: Sequence[Mapping[str, Any]], topics: Mapping[str, int]) -> bool:
    led = {one["topic"]: sum(part["leader"] >= 0 for part in one["partitions"]) for one in described}
    return led == dict(topics)


def _run(work: Coroutine[Any, Any, _T]) -> _T:
    """Run a coroutine to its end in a thread of its own: the caller may be inside an event loop."""
    call: Callable[[Coroutine[Any, Any, _T]], _T] = asyncio.run
    with ThreadPoolExecutor(max_workers=1) as pool:
        return pool.submit(call, work).result()
