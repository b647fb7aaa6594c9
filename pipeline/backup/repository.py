"""A folder of back-ups: blobs named by their SHA-256, and a manifest a back-up, which is written last.

What two back-ups have in common lies there once: a back-up writes what has changed since the others. One that was cut
off has no manifest and is none; its blobs are taken by the next, or away by `prune`.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from pipeline.backup.manifest import Manifest, decode, encode
from pipeline.codings import CodingError, encoder
from pipeline.codings import decode as unpacked
from pipeline.errors import DependencyError, UserError
from schemas.translatable import Foreign

_NAME: Final = re.compile(r"[0-9]{8}T[0-9]{6}Z(-[0-9]{1,3})?")
#: What a blob may unpack to: pieces are made far smaller.
MOST_BYTES: Final = 1 << 30
#: A manifest names its blobs: a million of them.
_MOST_MANIFEST: Final = 256 << 20


class Repository:
    """The back-ups in `folder`. Raises UserError if it can't be used."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._blobs, self._manifests = folder / "blobs", folder / "manifests"
        #: Bytes written by this process.
        self.written = 0

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Make the folder, and let nobody else change it meanwhile. Raises UserError if somebody does."""
        try:
            for path in (self.folder, self._blobs, self._manifests):
                path.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        except OSError as exc:
            raise UserError(
                "back-ups can't be kept in {folder}: {why}", folder=self.folder, why=Foreign(exc.strerror)
            ) from None
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UserError("another back-up is writing to {folder}", folder=self.folder) from None
            yield
        finally:
            os.close(lock)

    def names(self) -> list[str]:
        """The back-ups, the oldest first."""
        if not self._manifests.is_dir():
            return []
        found = (path.stem for path in self._manifests.iterdir() if path.suffix == ".json")
        return sorted(name for name in found if _NAME.fullmatch(name))

    def manifest(self, name: str | None = None) -> tuple[str, Manifest]:
        """A back-up's name and manifest, the newest if none is named. Raises UserError."""
        names = self.names()
        if not names:
            raise UserError("there is no whole back-up in {folder}", folder=self.folder)
        if name is not None and name not in names:
            raise UserError(
                "there is no back-up {name} in {folder}: there are {names}",
                name=name,
                folder=self.folder,
                names=", ".join(names[-5:]),
            )
        chosen = names[-1] if name is None else name
        try:
            with open(_no_link(self._manifests / f"{chosen}.json"), "rb") as file:
                data = file.read(_MOST_MANIFEST + 1)
        except OSError as exc:
            raise UserError("the back-up {name} can't be read: {why}", name=chosen, why=Foreign(exc.strerror)) from None
        return chosen, decode(data, chosen)

    def put(self, data: bytes) -> tuple[str, int]:
        """Keep bytes as a blob; its name and size. What is there already is not written again."""
        packing = encoder("zstd")
        packed = packing.compress(data) + packing.flush()
        name = hashlib.sha256(packed).hexdigest()
        path = self._path(name)
        if not path.exists():
            path.parent.mkdir(exist_ok=True, mode=0o700)
            _write(path, packed)
            self.written += len(packed)
        return name, len(packed)

    def get(self, name: str) -> bytes:
        """The bytes of a blob. Raises UserError if it is not there, or not what it was."""
        try:
            return unpacked(self._packed(name), "zstd", MOST_BYTES)
        except CodingError as exc:
            raise UserError("the back-up is damaged: {name}: {why}", name=self._path(name), why=exc) from None

    def check(self, name: str, manifest: Manifest) -> None:
        """Raise UserError unless every blob of a back-up is there, whole and unchanged."""
        for blob in sorted(manifest.blobs):
            if len(self._packed(blob)) != manifest.sizes[blob]:
                raise UserError(
                    "the back-up {name} is damaged: {blob} has another size", name=name, blob=self._path(blob)
                )

    def commit(self, name: str, manifest: Manifest) -> str:
        """Make it a back-up: from now on it is one. Returns its name."""
        for folder in (self._blobs, *(path for path in self._blobs.iterdir() if path.is_dir())):
            _sync(folder)
        chosen, number = name, 1
        while (self._manifests / f"{chosen}.json").exists():
            chosen, number = f"{name}-{number}", number + 1
        _write(self._manifests / f"{chosen}.json", encode(manifest))
        _sync(self._manifests)
        return chosen

    def prune(self, keep: int) -> int:
        """Remove all but the newest `keep` back-ups, and blobs that no back-up names; returns how many back-ups went.

        Raises UserError if a manifest can't be read: what it names is not known then.
        """
        names = self.names()
        gone, left = names[: max(0, len(names) - keep)], names[max(0, len(names) - keep) :]
        wanted = set().union(*(self.manifest(name)[1].blobs for name in left)) if left else set()
        for name in gone:
            (self._manifests / f"{name}.json").unlink()
        for path in self._blobs.glob("*/*"):
            if path.name not in wanted:
                path.unlink()
        return len(gone)

    def _path(self, name: str) -> Path:
        return self._blobs / name[:2] / name

    def _packed(self, name: str) -> bytes:
        path = self._path(name)
        try:
            with open(_no_link(path), "rb") as file:
                data = file.read(MOST_BYTES + 1)
        except OSError as exc:
            raise UserError(
                "the back-up is damaged: {path} can't be read: {why}", path=path, why=Foreign(exc.strerror)
            ) from None
        if hashlib.sha256(data).hexdigest() != name:
            raise UserError("the back-up is damaged: {path} does not have its checksum", path=path)
        return data


def _no_link(path: Path) -> int:
    """A file, opened; a link is none of ours, wherever it leads."""
    return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)


def _write(path: Path, data: bytes) -> None:
    new = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        new.unlink(missing_ok=True)
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except OSError as exc:
        new.unlink(missing_ok=True)
        raise DependencyError(
            "the back-up was broken off, {path} can't be written: {why}", path=path.parent, why=Foreign(exc.strerror)
        ) from exc


def _sync(folder: Path) -> None:
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
