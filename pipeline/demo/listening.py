"""On which ports the parts of a system listen: where people look first, or where they have listened before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from pipeline.embedded.child import free_port
from pipeline.embedded.folder import Ports
from schemas.translatable import Sentence

#: Where people look first; each is replaced by a free one if it is taken.
_USUAL: Final = {
    "Kafka": 9092, "ClickHouse": 8123, "worker": 9108, "archiver": 9109, "dashboard": 9110, "collect": 9111,
}  # fmt: skip


class Listening:
    """The ports of parts, by their names: `usual` ones where people look for them, kept in a `file` over restarts."""

    def __init__(self, usual: bool, file: Path | None) -> None:
        self._usual, self._file = usual, file
        self._ports: Ports | None = None
        #: Where a part listens that people look for elsewhere.
        self.notes: list[Sentence] = []

    def open(self, names: Iterable[str]) -> None:
        """Look up where these have listened before. Raises UserError if that is unreadable, or taken by others."""
        if self._file is not None:
            self._ports = Ports(self._file)
            self._ports.check(names)

    def usual(self, name: str) -> int | None:
        """Where people look for a part; None where they need not find it."""
        return _USUAL[name] if self._usual else None

    def kept(self, name: str) -> int | None:
        """Where a part has listened before, and is to listen again."""
        return self._ports.get(name) if self._ports is not None else None

    def free(self, name: str, before: int | None) -> int:
        """Where a part is to listen: where it did `before`, where it has been kept, else where it may."""
        port, taken = free_port(self.usual(name), before or self.kept(name))
        if taken:
            self.was_taken(name, port)
        return port

    def was_taken(self, name: str, port: int) -> None:
        """Note that a part listens there, for another program listens where people look."""
        said = Sentence("Port {usual} was taken: {part} listens on {port}", usual=_USUAL[name], part=name, port=port)
        self.notes.append(said)

    def keep(self, ports: Mapping[str, int]) -> None:
        """Remember them for the next start."""
        if self._ports is not None:
            self._ports.keep(ports)
