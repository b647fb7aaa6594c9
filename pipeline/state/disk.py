"""A partition's state on disk (RocksDB), for states that outgrow memory and for quick restarts.

The disk holds what the changelog amounts to: for every entry the value with the highest source offset, and up to
which changelog offset (`offset`) everything is in. A restart reads the changelog from there on. Everything but the
funnels' actors and what is known of ids is read into memory; an actor's entry is looked up when an event of theirs
comes.

Entries are written here after the checkpoint that holds them is acknowledged, all of it at once: the disk is never
ahead of the changelog, and never between two of its checkpoints.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import msgpack

from pipeline.errors import UserError
from pipeline.measure.funnel_state import expires_at
from pipeline.state.checkpoint import VERSION, Entry, readable

#: Key of position, totals and watermark; every other key is a msgpack array and begins with 0x9.
_META: Final = b"meta"
#: What the keys begin with of entries that are looked up here one by one, sorted: trails of ids (an array of two, the
#: first of them "d"), aliases ("l"), owners of ids ("o"), and funnel actors (an array of five, "f").
LOOKED_UP: Final = tuple(msgpack.packb(key)[:3] for key in (("d", 0), ("l", 0), ("o", 0), ("f", 0, 0, 0, 0)))
_POSITION_BYTES: Final = 8
_CACHE_BYTES: Final = 128 << 20
#: Entries looked at by one call of `drop_expired`: some 50 ms.
_EXPIRE_SLICE: Final = 50_000


class Disk:
    """The database of one partition. Raises UserError if it can't be opened."""

    _cache: Any = None

    def __init__(self, folder: Path) -> None:
        try:
            import rocksdict
        except ImportError:
            raise UserError(
                "PIPELINE_STATE_STORE=rocksdb needs the extra: pip install 'streamgauge[rocksdb]'"
            ) from None
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        if Disk._cache is None:
            Disk._cache = rocksdict.Cache(_CACHE_BYTES)
        tables = rocksdict.BlockBasedOptions()
        tables.set_block_cache(Disk._cache)
        tables.set_bloom_filter(10, False)
        options = rocksdict.Options(raw_mode=True)
        options.create_if_missing(True)
        options.set_block_based_table_factory(tables)
        options.set_max_background_jobs(2)
        options.set_keep_log_file_num(2)
        try:
            self._db = rocksdict.Rdict(str(folder), options)
        except Exception as exc:  # rocksdict raises Exception itself
            raise UserError(
                "the state in {folder} can't be opened: {why}; each worker needs a "
                "PIPELINE_STATE_DIR of its own; one that is damaged can be deleted: it is made again "
                "from the changelog",
                folder=folder,
                why=str(exc)[:200],
            ) from exc
        self._new_batch = lambda: rocksdict.WriteBatch(raw_mode=True)
        self.position: int | None = None
        self.meta: dict[str, Any] = {}
        #: Changelog offset up to which every record is in; None: nothing was read yet.
        self.offset: int | None = None
        #: Bytes of the changelog since it was last written anew, for whoever decides when to do so again.
        self.changelog_bytes = 0
        found = self._db.get(_META)
        if found is not None:
            # One that has no format is of the first.
            self.position, self.meta, self.offset, self.changelog_bytes, *format_ = msgpack.unpackb(found)
            try:
                readable(format_[0] if format_ else 1, f"the folder {folder}")
            except UserError:
                self.close()
                raise

    def get(self, key: bytes) -> bytes | None:
        """The value of an entry, None if there is none."""
        found = self._db.get(key)
        return None if found is None else found[_POSITION_BYTES:]

    def apply(self, position: int, meta: dict[str, Any], entries: Iterable[Entry], offset: int | None) -> None:
        """Take a checkpoint of the changelog, whoever wrote it: of two values of an entry the later one counts."""
        batch, db, stamp = self._new_batch(), self._db, position.to_bytes(_POSITION_BYTES, "big")
        newest = self.position is None or position >= self.position
        for key, value in entries:
            if not newest:
                found = db.get(key)
                if found is not None and found[:_POSITION_BYTES] > stamp:
                    continue
            batch.put(key, stamp + value)
        if newest:
            self.position, self.meta = position, meta
        self._write(batch, offset)

    def note(self, offset: int | None) -> None:
        """The changelog is read up to `offset`."""
        if offset != self.offset:
            self._write(self._new_batch(), offset)

    def drop(self, keys: Iterable[bytes]) -> None:
        """Delete entries."""
        batch = self._new_batch()
        for key in keys:
            batch.delete(key)
        if len(batch):
            self._db.write(batch)

    def _write(self, batch: Any, offset: int | None) -> None:
        self.offset = offset
        if self.position is not None:
            batch.put(_META, msgpack.packb((self.position, self.meta, offset, self.changelog_bytes, VERSION)))
        self._db.write(batch)

    def items(self) -> Iterator[Entry]:
        """Every entry but those that are looked up one by one."""
        behind = [prefix[:-1] + bytes([prefix[-1] + 1]) for prefix in LOOKED_UP]
        for start, end in zip((b"\x90", *behind), (*LOOKED_UP, b"\xa0"), strict=True):
            for key, value in self._db.items(from_key=start):
                if key >= end:
                    break
                yield key, value[_POSITION_BYTES:]

    def keys(self, prefix: bytes) -> Iterator[bytes]:
        """The keys that begin with `prefix`."""
        for key in self._db.keys(from_key=prefix):
            if not key.startswith(prefix):
                break
            yield key

    def scan(self, prefix: bytes, after: bytes = b"") -> Iterator[Entry]:
        """The entries whose key begins with `prefix`, from the key after `after` on."""
        for key, value in self._db.items(from_key=after or prefix):
            if not key.startswith(prefix):
                break
            if key != after:
                yield key, value[_POSITION_BYTES:]

    def close(self) -> None:
        """Let go of the files."""
        self._db.close()


class DiskEntries:
    """The entries of one kind (of one funnel view, say) by actor: on disk, those that changed since the last checkpoint
    in memory."""

    def __init__(self, disk: Disk, prefix: bytes) -> None:
        self._disk, self._prefix = disk, prefix
        self._recent: dict[str, bytes] = {}
        self._cursor = b""
        self._seen = self._counted = 0

    def get(self, actor: str) -> bytes | None:
        """The actor's entry, None if there is none."""
        found = self._recent.get(actor)
        return self._disk.get(self._prefix + msgpack.packb(actor)) if found is None else found

    def __setitem__(self, actor: str, entry: bytes) -> None:
        self._recent[actor] = entry

    def __len__(self) -> int:
        """Those in memory, and those on disk when they were all looked at last."""
        return self._counted + len(self._recent)

    def written(self, actor: str, entry: bytes) -> None:
        """An entry is on disk; memory keeps it only if it has changed since."""
        if self._recent.get(actor) == entry:
            del self._recent[actor]

    def actors(self) -> Iterator[str]:
        """Those on disk, as they are found, and those that are only in memory yet."""
        recent = set(self._recent)
        for key, _ in self._disk.scan(self._prefix):
            actor = msgpack.unpackb(key[len(self._prefix) :])
            recent.discard(actor)
            yield actor
        yield from recent

    def drop_expired(self, horizon: int, keep: Container[str]) -> int:
        """Look at the next slice of the entries on disk, and drop those of them that expired."""
        old: list[bytes] = []
        looked = 0
        for looked, (key, entry) in enumerate(self._disk.scan(self._prefix, self._cursor), 1):
            self._cursor = key
            actor = msgpack.unpackb(key[len(self._prefix) :])
            if expires_at(entry) < horizon and actor not in keep and actor not in self._recent:
                old.append(key)
            if looked == _EXPIRE_SLICE:
                self._seen += looked
                break
        else:
            self._cursor, self._counted, self._seen = b"", self._seen + looked - len(old), 0
        self._disk.drop(old)
        return len(old)
