"""The manifest of a back-up: what it holds, by names that can't lead anywhere else. Pure.

A back-up is a manifest and the blobs that it names. A blob is named by the SHA-256 of its bytes, a table and its
columns by identifiers, a file by one of a few words: whoever has made the manifest, no name in it is a path.
"""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from pipeline.errors import UserError
from schemas.translatable import said_by

FORMAT: Final = 1
#: Files besides the tables: the plan, who may send, this machine's own write key, and what was made in pages.
FileName = Literal["plan.yaml", "sources.json", "collect.key", "kept.sqlite"]
FILES: Final[tuple[FileName, ...]] = ("plan.yaml", "sources.json", "collect.key", "kept.sqlite")

Blob = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
_Identifier = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,100}$")]
_Word = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,200}$")]
_Migration = Annotated[str, StringConstraints(pattern=r"^[0-9]{4}_[a-z0-9_]{1,80}\.sql$")]
_Offset = Annotated[int, Field(ge=0, lt=1 << 62)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Piece(_Strict):
    """Rows of one part of a table, in ClickHouse's format Native."""

    #: The part's name and the hash of its files: the same part needs no second look.
    part: str = Field(max_length=500)
    hash: str = Field(max_length=100)
    rows: _Offset
    #: Whether the back-up took every row of the part.
    whole: bool
    blobs: tuple[Blob, ...]


class KeptTable(_Strict):
    """A table's columns and pieces."""

    columns: tuple[_Identifier, ...] = Field(min_length=1)
    pieces: tuple[Piece, ...]


class LogPartition(_Strict):
    """A partition of the log: everything before `position` is in the tables and in the state, the rest in `tail`."""

    position: _Offset
    end: _Offset
    #: Records of the events topic from `position` on, and those of the worker's changelog.
    tail: tuple[Blob, ...]
    state: tuple[Blob, ...]


class KeptLog(_Strict):
    """The events topic from its cut on, and the worker's state at it."""

    append_time: bool
    partitions: tuple[LogPartition, ...] = Field(min_length=1, max_length=10_000)


class Manifest(_Strict):
    """A whole back-up."""

    format: Literal[1]
    version: str = Field(max_length=50)
    taken_at: str = Field(max_length=50)
    product: str = Field(max_length=1_000)
    #: A ready plan's name, or plan.yaml.
    plan: str = Field(max_length=1_000)
    stream: _Word
    group: _Word
    log_since_ms: _Offset
    migrations: tuple[_Migration, ...]
    tables: dict[_Identifier, KeptTable]
    #: None where the broker could not take it back at its offsets: live figures then count anew.
    log: KeptLog | None
    files: dict[FileName, Blob]
    sizes: dict[Blob, _Offset]

    @property
    def blobs(self) -> set[str]:
        """Every blob that it names."""
        found = {blob for table in self.tables.values() for piece in table.pieces for blob in piece.blobs}
        found.update(self.files.values())
        for partition in self.log.partitions if self.log is not None else ():
            found.update(partition.tail, partition.state)
        return found


def encode(manifest: Manifest) -> bytes:
    """The file: the manifest and the hash of its text."""
    text = manifest.model_dump_json()
    return json.dumps({"sha256": hashlib.sha256(text.encode()).hexdigest(), "manifest": text}).encode()


def decode(data: bytes, name: str) -> Manifest:
    """The manifest in a file. Raises UserError, one line, if it is none, cut off or of another version."""
    try:
        outer = json.loads(data)
        text, digest = outer["manifest"], outer["sha256"]
        if hashlib.sha256(text.encode()).hexdigest() != digest:
            raise UserError("the back-up {name} is damaged: its manifest does not have its own checksum", name=name)
        if (found := json.loads(text).get("format")) != FORMAT:
            raise UserError(
                "the back-up {name} is of format {found}; this version reads {format}",
                name=name,
                found=found,
                format=FORMAT,
            )
        manifest = Manifest.model_validate_json(text)
    except UserError:
        raise
    except ValidationError as exc:
        first = exc.errors(include_url=False)[0]
        where = ".".join(str(part)[:80] for part in first["loc"])
        raise UserError(
            "the back-up {name} can't be read: {place}: {why}", name=name, place=where, why=said_by(first)
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise UserError("the back-up {name} is damaged or cut off: its manifest can't be read", name=name) from None
    if unknown := manifest.blobs - manifest.sizes.keys():
        raise UserError(
            "the back-up {name} is damaged: it does not say how large {unknown} is", name=name, unknown=min(unknown)
        )
    return manifest
