"""Sources: who may send to the front door, by which write key, and how much.

They stand in one file of JSON that only its owner reads (mode 0600). A key is shown once, when its source is made; the
file has its SHA-256, which is enough for a key of 128 random bits.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator

from pipeline.errors import UserError
from pipeline.whole_file import write_whole
from schemas.translatable import Foreign, Sentence, TranslatableValueError, said_by

log = logging.getLogger(__name__)

#: How often the file is looked at: a key that was revoked is refused after so long at the latest. Seconds.
LOOK_EVERY: Final = 1.0
#: Any page may send, from a file or another site.
ANY_ORIGIN: Final = "*"
_ORIGIN: Final = r"^(\*|https?://[a-z0-9.-]+(:[0-9]{1,5})?|https?://\[[0-9a-f:]+\](:[0-9]{1,5})?)$"


class Source(BaseModel):
    """Who sends. Beyond a limit the answer is 413 (bytes, events) or 429 (rate)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    key_sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    created: AwareDatetime
    revoked: AwareDatetime | None = None
    #: Origins of the pages that may send (`https://shop.example`); none: no page may, only programs.
    origins: tuple[Annotated[str, StringConstraints(pattern=_ORIGIN)], ...] = ()
    #: Events a second, at the most ten seconds' worth at once; by each process of the front door. 0: any number.
    rate: Annotated[float, Field(ge=0, le=1e7)] = 0
    #: Bytes of a request, unpacked.
    max_bytes: Annotated[int, Field(ge=1, le=64 << 20)] = 8_000_000
    #: Events of a request.
    max_events: Annotated[int, Field(ge=1, le=1_000_000)] = 10_000

    @field_validator("origins")
    @classmethod
    def _no_default_port(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for origin in value:
            if origin.startswith("http://") and origin.endswith(":80"):
                raise TranslatableValueError("{origin}: leave the port out, as browsers do", origin=origin)
            if origin.startswith("https://") and origin.endswith(":443"):
                raise TranslatableValueError("{origin}: leave the port out, as browsers do", origin=origin)
        return value

    def lets_in(self, origin: str) -> bool:
        """Whether pages of that origin may send."""
        return ANY_ORIGIN in self.origins or origin in self.origins


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    sources: list[Source]


def hashed(key: str) -> str:
    """A write key as the file has it."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def read_sources(path: Path) -> list[Source]:
    """The sources in a file, none if there is no file. Raises UserError if it can't be read."""
    try:
        return _File.model_validate_json(path.read_bytes()).sources
    except FileNotFoundError:
        return []
    except OSError as exc:
        raise UserError("the sources in {path} can't be read: {why}", path=path, why=Foreign(exc.strerror)) from None
    except ValidationError as exc:
        first = exc.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise UserError(
            "the sources in {path} can't be read: {place}: {why}", path=path, place=where, why=said_by(first)
        ) from None


def add_source(
    path: Path,
    name: str,
    *,
    origins: tuple[str, ...] = (),
    rate: float = 0,
    max_bytes: int | None = None,
    max_events: int | None = None,
) -> str:
    """Make a source; returns its write key, which is nowhere else. Raises UserError."""
    key = secrets.token_hex(16)
    given = {"max_bytes": max_bytes, "max_events": max_events}
    try:
        made = Source.model_validate(
            {
                "name": name,
                "key_sha256": hashed(key),
                "created": datetime.now(UTC),
                "origins": tuple(origin.lower().rstrip("/") for origin in origins),
                "rate": rate,
                **{field: value for field, value in given.items() if value is not None},
            }
        )
    except ValidationError as exc:
        first = exc.errors(include_url=False)[0]
        raise UserError(
            "{place}: {why}", place=first["loc"][0], why=_words(str(first["loc"][0]), said_by(first))
        ) from None
    with _changing(path) as sources:
        if any(other.name == name and other.revoked is None for other in sources):
            raise UserError("there is a source {name} already: revoke it first, or choose another name", name=name)
        sources.append(made)
    return key


def _words(field: str, message: str) -> str:
    match field:
        case "name":
            return Sentence("letters, digits, dots, dashes and underscores, at most 64")
        case "origins" if "pattern" in message:
            return Sentence("write them like https://shop.example, or * for any page")
        case _:
            return message


def revoke_source(path: Path, name: str) -> None:
    """Refuse what comes with a source's key from now on. Raises UserError if there is no such source."""
    with _changing(path) as sources:
        for at, source in enumerate(sources):
            if source.name == name and source.revoked is None:
                sources[at] = source.model_copy(update={"revoked": datetime.now(UTC)})
                return
        raise UserError("there is no source {name} that could be revoked", name=name)


#: The source of whoever sits at the machine where `up` or `demo` runs.
OWN_SOURCE: Final = "local"


def own_key(path: Path, kept_in: Path) -> str:
    """The write key of this machine's own source, which any page may use too; made if there is none.

    It is kept in a file of its own that only its owner reads. Raises UserError.
    """
    try:
        key = kept_in.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        key = ""
    known = {source.key_sha256: source for source in read_sources(path)}
    if key and hashed(key) in known:
        return key if known[hashed(key)].revoked is None else ""
    if any(source.name == OWN_SOURCE and source.revoked is None for source in known.values()):
        revoke_source(path, OWN_SOURCE)  # its key is lost
    key = add_source(path, OWN_SOURCE, origins=(ANY_ORIGIN,))
    _write(kept_in, key + "\n")
    return key


@contextmanager
def _changing(path: Path) -> Iterator[list[Source]]:
    """The sources, to be changed: one process at a time, and the file is the old or the new one, whole."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as exc:
        raise UserError("the sources in {path} can't be written: {why}", path=path, why=Foreign(exc.strerror)) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        sources = read_sources(path)
        yield sources
        _write(path, _File(sources=sources).model_dump_json(indent=2) + "\n")
    finally:
        os.close(lock)


def _write(path: Path, text: str) -> None:
    try:
        write_whole(path, text)
    except OSError as exc:
        raise UserError("the sources in {path} can't be written: {why}", path=path, why=Foreign(exc.strerror)) from None


class Sources:
    """The sources as a front door knows them: read again when the file has changed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._looked_at = -LOOK_EVERY
        self._seen: tuple[int, int, int] | None = None
        self._by_hash: dict[str, Source] = {}
        #: Every origin that some source lets in.
        self.origins: frozenset[str] = frozenset()
        #: Why the file can't be read; those of before hold meanwhile.
        self.problem = ""

    def of(self, key: str) -> Source | None:
        """The source of a key, revoked ones too; None if nobody's."""
        self.look()
        return self._by_hash.get(hashed(key)) if key else None

    def allows(self, origin: str) -> bool:
        """Whether some source lets pages of that origin send: all that a browser's first question can be told."""
        self.look()
        return ANY_ORIGIN in self.origins or origin in self.origins

    @property
    def count(self) -> int:
        """The sources whose keys are good."""
        self.look()
        return sum(source.revoked is None for source in self._by_hash.values())

    def look(self) -> None:
        """Read the file if it has changed, not oftener than every second."""
        now = time.monotonic()
        if now - self._looked_at < LOOK_EVERY:
            return
        self._looked_at = now
        try:
            stat = self._path.stat()
            seen = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        except OSError:
            seen = None
        if seen is not None and seen == self._seen:
            return
        try:
            sources = read_sources(self._path)
        except UserError as exc:
            if self.problem != str(exc):
                log.error("%s: those of before hold", exc)
            self.problem = str(exc)
            return
        self._seen, self.problem = seen, ""
        self._by_hash = {source.key_sha256: source for source in sources}
        self.origins = frozenset(o for source in sources if source.revoked is None for o in source.origins)
