"""Who may send: the file of sources, as a person and as several processes change it."""

from __future__ import annotations

import json
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from whole_system import command, last_json

from pipeline.collect import sources as module
from pipeline.collect.sources import Sources, add_source, own_key, read_sources, revoke_source
from pipeline.errors import UserError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sources.json"


def test_a_key_is_shown_once_and_the_file_has_its_hash_for_its_owner_alone(path: Path) -> None:
    key = add_source(path, "web", origins=("https://Shop.example/",), rate=100, max_events=50)
    assert len(key) == 32
    assert key not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    (source,) = read_sources(path)
    assert (source.name, source.origins, source.rate, source.max_events) == ("web", ("https://shop.example",), 100, 50)
    found = Sources(path).of(key)
    assert found == source
    assert Sources(path).of("x" * 32) is None
    assert Sources(path).of("") is None


def test_a_revoked_key_is_known_as_such_and_the_name_is_free_again(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_EVERY", 0.0)
    old = add_source(path, "web")
    sources = Sources(path)
    found = sources.of(old)
    assert found is not None
    assert found.revoked is None
    revoke_source(path, "web")
    new = add_source(path, "web")
    gone, come = sources.of(old), sources.of(new)
    assert gone is not None
    assert come is not None
    assert gone.revoked is not None
    assert come.revoked is None
    assert sources.count == 1


@pytest.mark.parametrize(
    ("name", "origin", "said"),
    [
        ("", "*", "name: letters, digits, dots, dashes and underscores, at most 64"),
        ("a b", "*", "name: letters, digits, dots, dashes and underscores, at most 64"),
        ("web", "shop.example", "origins: write them like https://shop.example, or * for any page"),
        ("web", "https://shop.example/x", "origins: write them like https://shop.example, or * for any page"),
        ("web", "https://shop.example:443", "origins: https://shop.example:443: leave the port out, as browsers do"),
    ],
)
def test_a_wrong_source_is_one_line_that_says_what_to_do(path: Path, name: str, origin: str, said: str) -> None:
    with pytest.raises(UserError) as told:
        add_source(path, name, origins=(origin,))
    assert str(told.value) == said
    assert not path.exists()


def test_a_file_that_somebody_spoilt_leaves_those_of_before(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_EVERY", 0.0)
    key = add_source(path, "web")
    sources = Sources(path)
    assert sources.of(key) is not None
    path.write_text('{"sources": [')
    assert sources.of(key) is not None
    assert "can't be read" in sources.problem
    path.write_text('{"sources": []}')
    assert sources.of(key) is None
    assert sources.problem == ""


def test_several_at_once_lose_nothing(path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(lambda n: add_source(path, f"s{n}"), range(24)))
    known = Sources(path)
    assert all(known.of(key) for key in keys)
    assert sorted(source.name for source in read_sources(path)) == sorted(f"s{n}" for n in range(24))


def test_this_machine_s_own_key_stays_and_one_that_was_revoked_is_not_made_again(tmp_path: Path) -> None:
    path, kept = tmp_path / "sources.json", tmp_path / "collect.key"
    key = own_key(path, kept)
    assert own_key(path, kept) == key
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    kept.unlink()
    other = own_key(path, kept)
    assert other != key
    revoke_source(path, "local")
    assert own_key(path, kept) == ""


def test_the_command_makes_lists_and_revokes(path: Path) -> None:
    made = command(
        "sources", "add", "web", "--origin", "https://a.example", "--rate", "5", "--file", str(path), "--json"
    )
    assert made.returncode == 0, made.stderr
    key = last_json(made.stdout)["key"]
    assert Sources(path).of(key) is not None
    again = command("sources", "add", "web", "--file", str(path))
    assert (again.returncode, again.stderr) == (
        2, "streamgauge: there is a source web already: revoke it first, or choose another name\n",
    )  # fmt: skip
    shown = command("sources", "list", "--file", str(path))
    assert "web  since" in shown.stdout
    assert "5 events/s, 8,000,000 bytes, 10,000 events  https://a.example" in shown.stdout
    assert key not in shown.stdout
    assert command("sources", "revoke", "web", "--file", str(path)).returncode == 0
    assert command("sources", "revoke", "web", "--file", str(path)).returncode == 2
    listed = json.loads(command("sources", "list", "--file", str(path), "--json").stdout)
    assert listed[0]["revoked"] is not None
