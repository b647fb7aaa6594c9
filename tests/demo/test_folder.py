"""What an `up` writes down for other commands: only for its owner, whole, and read back as it was."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from pydantic import SecretStr

from pipeline.demo.folder import addresses_in, name_stream, settings_in, stream_in, write_down
from pipeline.errors import UserError
from pipeline.settings import Settings, load_settings


def test_settings_come_back_as_they_were_and_are_nobody_elses(tmp_path: Path) -> None:
    settings = Settings(
        clickhouse_password=SecretStr('p"\\\n\x7f$é'), stream="local-1", kafka_bootstrap="127.0.0.1:4711",
        session_timeout_s=3.5, log_since_ms=1_795_168_755_000, collect_sources=tmp_path / "sources.json",
    )  # fmt: skip
    write_down(tmp_path, settings, {"worker": "http://127.0.0.1:9108"})
    path = settings_in(tmp_path, None)
    assert load_settings(path) == settings
    assert addresses_in(tmp_path) == {"worker": "http://127.0.0.1:9108"}
    assert [file.stat().st_mode & 0o777 for file in tmp_path.iterdir()] == [0o600, 0o600]
    # What nobody has set is not written down: it may be another in the next version.
    assert "retention_days" not in tomllib.loads((tmp_path / "settings.toml").read_text())


def test_a_plan_that_is_a_file_is_found_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("plan.yaml").write_text("product: Test\nevents: {look: {}}\n")
    write_down(tmp_path, Settings(plan="plan.yaml"), {})
    assert load_settings(tmp_path / "settings.toml").plan == str(tmp_path / "plan.yaml")
    write_down(tmp_path, Settings(plan="shop"), {})
    assert load_settings(tmp_path / "settings.toml").plan == "shop"


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("mine")
    (tmp_path / ".settings.toml.new").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "settings.toml").symlink_to(tmp_path / "elsewhere")
    write_down(tmp_path, Settings(), {})
    assert (tmp_path / "elsewhere").read_text() == "mine"
    assert not (tmp_path / "settings.toml").is_symlink()


def test_the_stream_of_a_log_that_was_restored(tmp_path: Path) -> None:
    assert stream_in(tmp_path, "local-new") == "local-new"
    name_stream(tmp_path, "local-new", "local-old")
    assert stream_in(tmp_path, "local-new") == "local-old"
    # Another log, made when that one was removed, is a stream of its own.
    assert stream_in(tmp_path, "local-later") == "local-later"


@pytest.mark.parametrize("text", ["", "[]", "{", '{"local-1": 5}', "\xff"])
def test_a_note_that_can_not_be_read_is_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "stream.json").write_text(text, "latin-1")
    (tmp_path / "addresses.json").write_text(text, "latin-1")
    for read in (lambda: stream_in(tmp_path, "local-1"), lambda: addresses_in(tmp_path)):
        with pytest.raises(UserError, match=r"(stream|addresses)\.json can't be read: "):
            read()
