"""The file of what is kept: versions, who and when; two at once; restarts, crashes, other programs' files."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import DependencyError, UserError
from pipeline.kept import store as module
from pipeline.kept.store import ConflictError, Edit, KeptStore
from pipeline.kept.things import make

ROOT = Path(__file__).resolve().parents[2]


def board(title: str) -> Any:
    return make("board", {"title": title})


def save(store: KeptStore, id_: str, seen: int, title: str | None, who: str = "ann", at: int = 1) -> None:
    store.write([Edit("board", id_, seen, None if title is None else board(title))], who, at)


@pytest.fixture
def store(tmp_path: Path) -> KeptStore:
    return KeptStore(tmp_path / "kept.sqlite")


def test_a_write_is_a_new_version_with_who_and_when(store: KeptStore) -> None:
    save(store, "weekly", 0, "Weekly", "ann", 1_000)
    save(store, "weekly", 1, "Every week", "bob", 2_000)
    entry = store.read().boards["weekly"]
    assert (entry.number, entry.who, entry.at, entry.owner, entry.since) == (2, "bob", 2_000, "ann", 1_000)
    assert entry.value == board("Every week")
    assert [(v.number, v.who, v.value) for v in store.history("board", "weekly")] == [
        (2, "bob", board("Every week")), (1, "ann", board("Weekly")),
    ]  # fmt: skip


def test_of_two_who_edit_at_once_the_second_is_told_and_nothing_is_lost(store: KeptStore) -> None:
    save(store, "weekly", 0, "Weekly")
    other = KeptStore(store.path)
    assert other.read().boards["weekly"].number == 1
    save(store, "weekly", 1, "Ann's", "ann", 5)
    with pytest.raises(ConflictError) as caught:
        save(other, "weekly", 1, "Bob's", "bob", 6)
    assert (caught.value.who, caught.value.at, caught.value.number) == ("ann", 5, 2)
    assert other.read().boards["weekly"].value == board("Ann's")
    save(other, "weekly", 2, "Bob's", "bob", 7)
    assert [v.value.title for v in store.history("board", "weekly")] == ["Bob's", "Ann's", "Weekly"]


def test_of_many_threads_with_one_version_one_wins(store: KeptStore) -> None:
    save(store, "weekly", 0, "Weekly")
    won: list[int] = []
    stores = [KeptStore(store.path) for _ in range(4)]

    def edit(k: int) -> None:
        try:
            save(stores[k], "weekly", 1, f"of {k}")
            won.append(k)
        except ConflictError:
            pass

    threads = [threading.Thread(target=edit, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert store.read().boards["weekly"].value == board(f"of {won[0]}")


def test_one_change_that_can_not_be_made_leaves_the_others_unmade(store: KeptStore) -> None:
    save(store, "b", 0, "B")
    with pytest.raises(ConflictError):
        store.write([Edit("board", "a", 0, board("A")), Edit("board", "b", 0, board("other"))], "ann", 1)
    assert list(store.read().boards) == ["b"]


def test_what_was_removed_is_gone_and_comes_back_as_it_was(store: KeptStore) -> None:
    save(store, "weekly", 0, "Weekly")
    save(store, "weekly", 1, None, "bob", 9)
    assert store.read().boards == {}
    assert [(id_, v.who, v.at) for id_, v in store.removed("board")] == [("weekly", "bob", 9)]
    save(store, "weekly", 2, "Weekly", "ann", 10)
    assert (store.read().boards["weekly"].owner, store.removed("board")) == ("ann", [])
    save(store, "weekly", 3, None)
    assert store.read().number("board", "weekly") == 4
    assert (store.read().number("board", "never"), store.read().ids("board")) == (0, {"weekly"})


def test_it_is_there_after_the_process_was_killed(tmp_path: Path) -> None:
    """A write that was confirmed outlives kill -9; one that was begun is not there."""
    script = (
        "import sys, time; from pathlib import Path; from pipeline.kept.store import Edit, KeptStore; "
        "from pipeline.kept.things import make; s = KeptStore(Path(sys.argv[1])); "
        "s.write([Edit('board', 'weekly', 0, make('board', {'title': 'Weekly'}))], 'ann', 1)\n"
        "def slow(kept):\n print('stored', flush=True); time.sleep(60)\n"
        "s.change(slow, 'ann', 2)"
    )
    path = tmp_path / "kept.sqlite"
    command = [sys.executable, "-P", "-c", script, str(path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert process.stdout is not None
    assert process.stdout.readline() == "stored\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert [v.value for v in KeptStore(path).history("board", "weekly")] == [board("Weekly")]


def test_the_file_is_for_its_owner_only(store: KeptStore) -> None:
    save(store, "weekly", 0, "Weekly")
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in store.path.parent.iterdir()}
    assert set(modes.values()) == {0o600}, modes


def test_files_that_are_none_of_ours_are_refused_and_left_as_they_are(tmp_path: Path) -> None:
    text, other, newer = tmp_path / "text", tmp_path / "other", tmp_path / "newer"
    text.write_text("product: shop\n" * 100)
    with sqlite3.connect(other) as db:
        db.execute("CREATE TABLE bookmarks (url TEXT)")
    KeptStore(newer).close()
    with sqlite3.connect(newer) as db:
        db.execute("PRAGMA user_version = 2")
    for path, said in ((text, "not a database"), (other, "another program's"), (newer, "a newer Streamgauge")):
        before = path.read_bytes()
        with pytest.raises(UserError, match=said):
            KeptStore(path)
        assert path.read_bytes() == before
    with pytest.raises(UserError, match="PIPELINE_KEPT"):
        KeptStore(tmp_path / "no folder" / "kept.sqlite")


def test_what_this_version_can_not_read_is_named_and_stays(store: KeptStore) -> None:
    save(store, "weekly", 0, "Weekly")
    with sqlite3.connect(store.path) as db:
        db.execute("INSERT INTO versions VALUES ('board', 'odd', 1, 1, 'ann', '{\"title\": \"x\", \"new\": 1}')")
        db.execute("INSERT INTO versions VALUES ('board', 'cut', 1, 1, 'ann', '{')")
    found = store.read()
    assert list(found.boards) == ["weekly"]
    assert [(kind, id_) for kind, id_, _ in found.unreadable] == [("board", "cut"), ("board", "odd")]
    with pytest.raises(ConflictError):
        save(store, "odd", 0, "over it")


def test_there_is_an_end_to_things_versions_and_what_was_removed(
    store: KeptStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(module.MAX_THINGS, "board", 3)
    monkeypatch.setattr(module, "MAX_VERSIONS", 4)
    monkeypatch.setattr(module, "MAX_REMOVED", 2)
    for k in range(3):
        save(store, f"b{k}", 0, "B")
    with pytest.raises(UserError, match="there are 3 boards already: remove one first"):
        save(store, "b3", 0, "B")
    for k in range(1, 10):
        save(store, "b0", k, f"B{k}")
    assert [v.number for v in store.history("board", "b0")] == [10, 9, 8, 7, 1]
    for k in range(3):
        save(store, f"b{k}", 10 if k == 0 else 1, None, at=20 + k)
    assert [id_ for id_, _ in store.removed("board")] == ["b2", "b1"]
    with pytest.raises(UserError, match="is larger than 131,072 bytes"):
        charts = [
            {"key": f"k{k}", "title": "t", "address": {f"p{n}": "x" * 1_900 for n in range(3)}} for k in range(40)
        ]
        store.write([Edit("board", "large", 0, make("board", {"title": "b", "charts": charts}))], "ann", 1)


def test_a_disk_that_takes_no_more_is_told_and_nothing_is_half_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MAX_PAGES", 30)  # for SQLite the same as a full disk
    store, number = KeptStore(tmp_path / "kept.sqlite"), 0
    save(store, "weekly", 0, "Weekly")
    charts = [{"key": "k", "title": "t", "address": {f"p{n}": "x" * 1_900 for n in range(3)}}]
    large = make("board", {"title": "b", "charts": charts})
    with pytest.raises(DependencyError, match="can't be written: database or disk is full"):
        for number in range(50):
            store.write([Edit("board", f"b{number}", 0, large)], "ann", 1)
    assert sorted(store.read().boards) == sorted(["weekly", *(f"b{k}" for k in range(number))])
    save(store, "weekly", 1, None)


def test_a_copy_has_the_history_too(store: KeptStore, tmp_path: Path) -> None:
    save(store, "weekly", 0, "Weekly")
    save(store, "weekly", 1, "Every week", "bob", 2)
    (tmp_path / "copy").write_bytes(store.dump())
    copy = KeptStore(tmp_path / "copy")
    assert copy.read() == store.read()
    assert copy.history("board", "weekly") == store.history("board", "weekly")
    save(copy, "weekly", 2, "here")


STEPS = st.lists(
    st.tuples(st.sampled_from(["a", "b"]), st.integers(0, 3), st.one_of(st.none(), st.sampled_from(["x", "y", "z"]))),
    max_size=12,
)


@settings(max_examples=settings.default.max_examples // 4)
@given(STEPS)
def test_history_is_all_that_was_written_in_order(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int, str | None]]
) -> None:
    store = KeptStore(tmp_path_factory.mktemp("kept") / "kept.sqlite")
    model: dict[str, list[str | None]] = {"a": [], "b": []}
    for id_, seen, title in steps:
        if seen == len(model[id_]):
            save(store, id_, seen, title)
            model[id_].append(title)
            continue
        with pytest.raises(ConflictError) as caught:
            save(store, id_, seen, title)
        assert caught.value.number == len(model[id_])
    for id_, titles in model.items():
        assert [v.value and v.value.title for v in store.history("board", id_)] == titles[::-1]
    assert {k: e.value.title for k, e in store.read().boards.items()} == {
        k: v[-1] for k, v in model.items() if v and v[-1]
    }
    store.close()
