"""What is the same of every server that runs as a child process of ours: ClickHouse, Kafka, the embedded broker."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import ClassVar, Self

from pipeline.embedded.child import Child


class ChildServer(ABC):
    """A server as a child process. `start` sets the child once the server answers."""

    #: Seconds in which it has to end in order; then it is killed.
    stop_seconds: ClassVar[float]
    _child: Child | None = None

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._child.pid if self._child else None

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._child is not None and self._child.running

    @property
    def ended(self) -> str:
        """How it ended, in words."""
        return self._child.ended if self._child else "stopped"

    @abstractmethod
    async def start(self) -> None:
        """Start it and wait until it answers. RuntimeError if it runs already."""

    @abstractmethod
    async def answers(self) -> bool:
        """Whether it gives a sign of life."""

    async def stop(self) -> None:
        """Stop it in order, within bounds."""
        child, self._child = self._child, None
        if child is not None:
            await child.stop(self.stop_seconds)

    def kill(self) -> None:
        """Kill it at once, as a crash would; it stays for `stop` to clean up."""
        if self._child is not None:
            self._child.kill()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()
