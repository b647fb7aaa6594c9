"""A folder of back-ups: one that was cut off is none, one that is damaged is refused, and no name leads out of it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.backup.manifest import KeptLog, KeptTable, LogPartition, Manifest, Piece, decode, encode
from pipeline.backup.repository import Repository
from pipeline.errors import UserError


def manifest_of(repository: Repository, *contents: bytes, **changes: Any) -> Manifest:
    sizes = dict(repository.put(data) for data in contents)
    pieces = tuple(Piece(part=f"all_{n}", hash="h", rows=1, whole=True, blobs=(blob,)) for n, blob in enumerate(sizes))
    fields: dict[str, Any] = {
        "format": 1, "version": "0.2.0", "taken_at": "2026-11-25T10:00:00+00:00", "product": "Shop", "plan": "shop",
        "stream": "main", "group": "streamgauge", "log_since_ms": 0, "migrations": ("0001_events.sql",),
        "tables": {"events_raw": KeptTable(columns=("stream", "offset"), pieces=pieces)}, "log": None, "files": {},
        "sizes": sizes,
    }  # fmt: skip
    return Manifest(**(fields | changes))


def committed(folder: Path, *contents: bytes, name: str = "20261125T100000Z") -> Repository:
    repository = Repository(folder)
    with repository.changing():
        repository.commit(name, manifest_of(repository, *contents))
    return repository


def test_a_back_up_comes_back_and_what_two_have_in_common_is_there_once(tmp_path: Path) -> None:
    repository = committed(tmp_path, b"one", b"two")
    written = repository.written
    with repository.changing():
        assert repository.commit("20261125T100000Z", manifest_of(repository, b"one", b"three")) == "20261125T100000Z-1"
    assert 0 < repository.written - written < written
    assert repository.names() == ["20261125T100000Z", "20261125T100000Z-1"]
    name, found = repository.manifest()
    assert name == "20261125T100000Z-1"
    repository.check(name, found)
    assert {repository.get(blob) for blob in found.blobs} == {b"one", b"three"}
    assert len(list((tmp_path / "blobs").glob("*/*"))) == 3
    assert all(path.stat().st_mode & 0o077 == 0 for path in tmp_path.rglob("*"))
    # The older one goes, with what only it had.
    with repository.changing():
        assert repository.prune(1) == 1
    assert repository.names() == ["20261125T100000Z-1"]
    assert len(list((tmp_path / "blobs").glob("*/*"))) == 2
    repository.check(*repository.manifest())


def test_a_back_up_that_was_cut_off_is_none(tmp_path: Path) -> None:
    """Without a manifest, and with one that was not written to its end."""
    repository = Repository(tmp_path)
    with repository.changing():
        repository.put(b"one")
    with pytest.raises(UserError, match=r"^there is no whole back-up in "):
        repository.manifest()
    (tmp_path / "manifests" / ".20261125T100000Z.json.77").write_bytes(b"{")
    assert repository.names() == []
    committed(tmp_path, b"one")
    path = tmp_path / "manifests" / "20261125T100000Z.json"
    whole = path.read_bytes()
    for length in (0, 1, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(UserError, match=r"^the back-up 20261125T100000Z is damaged"):
            repository.manifest()


def test_what_was_changed_on_the_disk_is_refused(tmp_path: Path) -> None:
    repository = committed(tmp_path, b"one")
    name, found = repository.manifest()
    [blob] = found.blobs
    path = tmp_path / "blobs" / blob[:2] / blob
    whole = path.read_bytes()
    for data in (whole[:-1], whole + b"x", b"", bytes([whole[0] ^ 1]) + whole[1:]):
        path.write_bytes(data)
        with pytest.raises(UserError, match=r"^the back-up is damaged: .* does not have its checksum"):
            repository.check(name, found)
    path.unlink()
    with pytest.raises(UserError, match=r"^the back-up is damaged: .* can't be read: No such file"):
        repository.check(name, found)
    # A link is none of ours, whatever it leads to.
    (tmp_path / "elsewhere").write_bytes(whole)
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match=r"^the back-up is damaged: .* can't be read"):
        repository.check(name, found)


@pytest.mark.parametrize(("where", "name"), [
    (("tables", "../x"), None), (("tables", "events_raw; DROP TABLE x"), None), (("tables", "a" * 200), None),
    (("files", "../sources.json"), "f" * 64), (("files", "/etc/passwd"), "f" * 64),
    (("files", "settings.toml"), "f" * 64), (("files", "x\0"), "f" * 64),
    (("files", "plan.yaml"), "../../etc/passwd"), (("files", "plan.yaml"), "f" * 63),
    (("files", "plan.yaml"), "F" * 64),
    (("files", "plan.yaml"), "f" * 64 + "\n"), (("migrations",), ["../0001.sql"]), (("stream",), "a/../b"),
    (("group",), ""),
    (("stream",), "main\n"), (("format",), 2), (("format",), "1"), (("more",), 1), (("log",), {"partitions": []}),
    (("tables", "events_raw", "columns"), ["offset` FROM secrets --"]), (("sizes",), {}), (("log_since_ms",), -1),
])  # fmt: skip
def test_a_hostile_manifest_is_refused_in_one_line(tmp_path: Path, where: tuple[str, ...], name: Any) -> None:
    """Whoever has made it, with a right checksum of its own."""
    document = json.loads(json.loads(encode(committed(tmp_path, b"one").manifest()[1]))["manifest"])
    at = document
    for key in where[:-1]:
        at = at[key]
    at[where[-1]] = {"columns": ["a"], "pieces": []} if name is None else name
    text = json.dumps(document)
    data = json.dumps({"sha256": hashlib.sha256(text.encode()).hexdigest(), "manifest": text}).encode()
    with pytest.raises(UserError) as caught:
        decode(data, "x")
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("the back-up x ")


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"7", b'"x"', b"{}", b"[" * 100_000, b'{"sha256": 1, "manifest": 2}', b"\xff"]
)
def test_what_is_no_manifest_is_refused(data: bytes) -> None:
    with pytest.raises(UserError, match=r"^the back-up x is damaged or cut off: its manifest can't be read$"):
        decode(data, "x")


def test_names_of_back_ups_lead_nowhere_else(tmp_path: Path) -> None:
    repository = committed(tmp_path, b"one")
    (tmp_path / "manifests" / "..json").write_bytes(b"{}")
    for name in ("../manifests/20261125T100000Z", "", "/etc/passwd"):
        with pytest.raises(UserError, match=r"^there is no back-up "):
            repository.manifest(name)


def test_two_do_not_write_at_once(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    with (
        repository.changing(),
        pytest.raises(UserError, match=r"^another back-up is writing to "),
        Repository(tmp_path).changing(),
    ):
        pass


def test_a_folder_that_can_not_be_made_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(UserError, match=r"^back-ups can't be kept in .*/file/x: Not a directory"),
        Repository(tmp_path / "file" / "x").changing(),
    ):
        pass


def test_a_log_is_part_of_what_is_checked(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    with repository.changing():
        (tail, _), (state, _) = repository.put(b"tail"), repository.put(b"state")
        log = KeptLog(append_time=True, partitions=(LogPartition(position=5, end=7, tail=(tail,), state=(state,)),))
        found = manifest_of(repository, b"one", log=log)
    assert {tail, state} < found.blobs
    with pytest.raises(UserError, match="it does not say how large "):
        decode(encode(found), "x")
