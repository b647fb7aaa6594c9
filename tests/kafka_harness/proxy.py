"""A TCP proxy that tests can make slow, silent or dead."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Literal, TypeVar

from kafka_harness.process import free_port

Direction = Literal["up", "down"]  # up: from the client to the server
_CHUNK = 64 * 1024
_QUEUED = 64  # chunks in hand, for each direction of each connection
_T = TypeVar("_T")


class TcpProxy:
    """Passes every byte between the clients of a port and `target`, until a test says otherwise.

    It knows nothing of the protocol, so it stands before Kafka and before ClickHouse's HTTP alike. It runs
    in a thread of its own: every method may be called from any thread, inside an event loop or not, and has
    taken effect when it returns. Use it as a context manager, or call `close()`.

    To lose a reply of a request that was carried out: `hold("down")`, wait until the server has done it,
    `cut()`. To let a request arrive after its client gave up: `hold("up")`, wait for the client, `release()`.
    """

    def __init__(self, listen_port: int | None = None, target: tuple[str, int] | None = None) -> None:
        """Listen on 127.0.0.1. `target` (host, port) may be set later; without one, connections are cut."""
        self.port = listen_port or free_port()
        self.target = target
        self._links: set[_Link] = set()
        self._open: dict[Direction, asyncio.Event] = {"up": asyncio.Event(), "down": asyncio.Event()}
        for gate in self._open.values():
            gate.set()
        self._delay = 0.0
        self._mark = b""
        self._accepted = 0
        self._listener: socket.socket | None = None
        self._serving: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"proxy-{self.port}", daemon=True)
        self._thread.start()
        try:
            self._do(self._listen())
        except BaseException:
            self._stop_loop()
            raise

    @property
    def address(self) -> str:
        """`host:port` for clients."""
        return f"127.0.0.1:{self.port}"

    @property
    def connections(self) -> int:
        """Connections open now."""
        return self._call(lambda: len(self._links))

    @property
    def accepted(self) -> int:
        """Connections accepted since the start."""
        return self._call(lambda: self._accepted)

    def waiting(self, direction: Direction) -> int:
        """Bytes that were taken from one side and not yet given to the other (while held or delayed)."""
        return self._call(lambda: sum(link.waiting[direction] for link in self._links))

    def holds(self, direction: Direction) -> bool:
        """Whether nothing passes in this direction, by `hold` or by what `hold_from` waited for."""
        return self._call(lambda: not self._open[direction].is_set())

    def hold(self, direction: Direction | None = None) -> None:
        """Pass nothing on, in one direction or (None) both. Connections stay open, and new ones are taken.

        What arrives meanwhile is kept in order (a few MB, then the sender feels a full pipe) and passed on
        by `release()`, even if its sender has hung up by then.
        """
        self._call(lambda: self._set_gates(direction, passing=False))

    def hold_from(self, mark: bytes) -> None:
        """`hold("up")` as soon as a client sends `mark`, which is held already: a kind of request, by a name in it."""
        self._call(lambda: setattr(self, "_mark", mark))

    def release(self, direction: Direction | None = None) -> None:
        """Undo `hold`, and `hold_from`."""
        self.hold_from(b"")
        self._call(lambda: self._set_gates(direction, passing=True))

    def delay(self, ms: float) -> None:
        """Let each byte that arrives from now on take `ms` milliseconds longer, each way. 0 undoes it."""
        self._call(lambda: setattr(self, "_delay", ms / 1000))

    def cut(self) -> None:
        """Reset all connections, on both sides. What they held is lost. New connections are taken."""
        self._do(self._cut())

    def refuse(self) -> None:
        """Let new connections be refused. Open ones go on."""
        self._do(self._refuse())

    def accept(self) -> None:
        """Undo `refuse`."""
        self._do(self._listen())

    def heal(self) -> None:
        """Undo everything: accept, release, no delay."""
        self.accept()
        self.delay(0)
        self.release()

    def close(self) -> None:
        """Cut all connections and stop listening. May be called twice."""
        if not self._loop.is_closed():
            self._do(self._end())
            self._stop_loop()

    def __enter__(self) -> TcpProxy:
        return self

    def __exit__(self, kind: type[BaseException] | None, _: object, trace: TracebackType | None) -> None:
        self.close()

    # Below: inside the proxy's own thread.

    def _call(self, what: Callable[[], _T]) -> _T:
        async def run() -> _T:
            return what()

        return self._do(run())

    def _do(self, what: Coroutine[Any, Any, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(timeout=10)

    def _stop_loop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _set_gates(self, direction: Direction | None, *, passing: bool) -> None:
        for one, gate in self._open.items():
            if direction in (one, None):
                (gate.set if passing else gate.clear)()

    async def _listen(self) -> None:
        if self._listener is None:
            self._listener = socket.create_server(("127.0.0.1", self.port), backlog=128)
            self._listener.setblocking(False)
            self._loop.add_reader(self._listener, self._take_new)

    async def _refuse(self) -> None:
        if self._listener is not None:
            self._take_new()  # those who are connected already, as they see it
            self._loop.remove_reader(self._listener)
            self._listener.close()
            self._listener = None

    def _take_new(self) -> None:
        # By hand, for asyncio.Server can leave a connection that it took just before its end unserved.
        assert self._listener is not None
        with contextlib.suppress(BlockingIOError):
            while True:
                client, _ = self._listener.accept()
                self._accepted += 1
                task = self._loop.create_task(self._serve(client))
                self._serving.add(task)
                task.add_done_callback(self._serving.discard)

    async def _cut(self) -> None:
        links = list(self._links)
        for link in links:
            link.abort()
        await asyncio.gather(*(link.ended.wait() for link in links))

    async def _end(self) -> None:
        await self._refuse()
        await self._cut()
        await asyncio.gather(*self._serving)

    async def _serve(self, accepted: socket.socket) -> None:
        client = await asyncio.open_connection(sock=accepted, limit=_CHUNK)
        try:
            if self.target is None:
                raise ConnectionError("no target yet")
            server = await asyncio.open_connection(*self.target, limit=_CHUNK)
        except OSError:
            await _reset(client[1])  # as near as a proxy can come to a server that isn't there
            return
        link = _Link(self, client, server)
        self._links.add(link)
        try:
            await link.run()
        finally:
            self._links.discard(link)


_Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class _Link:
    """One client's connection and the one to the server that belongs to it."""

    def __init__(self, proxy: TcpProxy, client: _Stream, server: _Stream) -> None:
        self._proxy = proxy
        self._client = client
        self._server = server
        self._tasks: list[asyncio.Task[None]] = []
        self.waiting: dict[Direction, int] = {"up": 0, "down": 0}
        self.ended = asyncio.Event()

    async def run(self) -> None:
        up: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_QUEUED)
        down: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_QUEUED)
        self._tasks = [
            asyncio.ensure_future(self._take("up", self._client[0], up)),
            asyncio.ensure_future(self._give("up", up, self._server[1])),
            asyncio.ensure_future(self._take("down", self._server[0], down)),
            asyncio.ensure_future(self._give("down", down, self._client[1])),
        ]
        # A task that fails (nobody there to give to) or is cancelled (cut) ends the link with a reset. When
        # both sides ended their halves in good order, all was passed on, and the end is polite.
        await asyncio.wait(self._tasks, return_when=asyncio.FIRST_EXCEPTION)
        if all(task.done() and not task.cancelled() and not task.exception() for task in self._tasks):
            for _, writer in (self._client, self._server):
                writer.close()
        self.abort()
        results = await asyncio.gather(*self._tasks, return_exceptions=True)
        for _, writer in (self._client, self._server):
            await _reset(writer)
        self.ended.set()
        for result in results:
            if not isinstance(result, OSError | asyncio.CancelledError | None):
                raise result

    def abort(self) -> None:
        for task in self._tasks:
            task.cancel()
        for _, writer in (self._client, self._server):
            _abort(writer)

    async def _take(
        self, direction: Direction, source: asyncio.StreamReader, queue: asyncio.Queue[tuple[float, bytes]]
    ) -> None:
        loop = asyncio.get_running_loop()
        before = b""  # a mark may come in two pieces
        while True:
            try:
                data = await source.read(_CHUNK)
            except OSError:
                data = b""  # a reset is an end like any other: what came before it is still passed on
            if direction == "up" and (mark := self._proxy._mark):
                if mark in before + data:
                    self._proxy._set_gates("up", passing=False)
                before = (before + data)[1 - len(mark) :] if len(mark) > 1 else b""
            self.waiting[direction] += len(data)
            await queue.put((loop.time() + self._proxy._delay, data))
            if not data:
                return

    async def _give(
        self, direction: Direction, queue: asyncio.Queue[tuple[float, bytes]], sink: asyncio.StreamWriter
    ) -> None:
        loop = asyncio.get_running_loop()
        sink.transport.set_write_buffer_limits(0)  # drain() then means: the system has taken every byte
        while True:
            due, data = await queue.get()
            if due > loop.time():
                await asyncio.sleep(due - loop.time())
            await self._proxy._open[direction].wait()
            if not data:
                with contextlib.suppress(OSError):  # the other side has hung up already
                    sink.write_eof()
                return
            sink.write(data)
            await sink.drain()
            self.waiting[direction] -= len(data)


def _abort(writer: asyncio.StreamWriter) -> None:
    # Without a lingering time of 0 the system would say a polite goodbye (FIN) and not reset.
    if not writer.transport.is_closing():
        at_once = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
        writer.transport.abort()


async def _reset(writer: asyncio.StreamWriter) -> None:
    _abort(writer)
    with contextlib.suppress(OSError):
        await writer.wait_closed()
