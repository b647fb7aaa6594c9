"""Who may look: nobody by accident."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from pipeline.dashboard.auth import Auth, hash_password, password_fits, read_passwords, set_password
from pipeline.errors import UserError
from pipeline.settings import Settings


def nothing(_: str) -> str | None:
    return None


@pytest.fixture
def passwords(tmp_path: Path) -> Path:
    path = tmp_path / "passwords"
    set_password(path, "ann", "correct horse")
    return path


def auth(**changes: Any) -> Auth:
    return Auth(Settings(**changes))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "dashboard.example.com"])
def test_beyond_loopback_it_does_not_start_without_a_login(host: str) -> None:
    with pytest.raises(UserError, match="would be open to everybody"):
        auth(dashboard_host=host)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_on_loopback_anybody_may_look(host: str) -> None:
    assert auth(dashboard_host=host).user(None, nothing, "127.0.0.1") == ""


def test_a_password_is_kept_as_a_salted_hash_that_only_it_fits(passwords: Path) -> None:
    stored = read_passwords(passwords)["ann"]
    assert "horse" not in passwords.read_text("utf-8")
    assert passwords.stat().st_mode & 0o077 == 0
    assert password_fits("correct horse", stored)
    assert not password_fits("correct horsf", stored)
    assert hash_password("correct horse") != hash_password("correct horse")


def test_a_name_has_one_line_and_a_password_some_length(passwords: Path) -> None:
    set_password(passwords, "ann", "another password")
    set_password(passwords, "bob", "correct horse")
    assert set(read_passwords(passwords)) == {"ann", "bob"}
    assert not password_fits("correct horse", read_passwords(passwords)["ann"])
    with pytest.raises(UserError, match="10 characters"):
        set_password(passwords, "cat", "short")
    with pytest.raises(UserError, match="a name has"):
        set_password(passwords, "a:b", "correct horse")


def test_a_session_ends_by_time_and_cannot_be_made_up(passwords: Path) -> None:
    now = [1_000_000.0]
    door = Auth(Settings(dashboard_host="0.0.0.0", dashboard_password_file=passwords), clock=lambda: now[0])
    assert door.user(None, nothing, "10.0.0.1") is None
    cookie = door.log_in("ann", "correct horse")
    assert cookie is not None
    assert door.user(cookie, nothing, "10.0.0.1") == "ann"
    assert door.user(cookie.replace("ann", "bob"), nothing, "10.0.0.1") is None
    assert door.user(cookie[:-1] + ("0" if cookie[-1] != "0" else "1"), nothing, "10.0.0.1") is None
    now[0] += 12 * 3600 + 1
    assert door.user(cookie, nothing, "10.0.0.1") is None


def test_after_five_wrong_passwords_a_name_has_to_wait(passwords: Path) -> None:
    now = [0.0]
    door = Auth(Settings(dashboard_host="0.0.0.0", dashboard_password_file=passwords), clock=lambda: now[0])
    assert [door.log_in("ann", "wrong password") for _ in range(5)] == [None] * 5
    assert door.log_in("ann", "correct horse") is None
    now[0] += 61
    assert door.log_in("ann", "correct horse") is not None


@pytest.mark.parametrize("name", ["ann", "nobody"])
def test_tries_that_come_at_once_are_counted_too(passwords: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    looked_at = []
    there = threading.Barrier(5)

    def fits(password: str, stored: str) -> bool:
        looked_at.append(password)
        there.wait(20)  # nobody is done before five are at it: as slow as a hash with a hundred callers
        return password_fits(password, stored)

    monkeypatch.setattr("pipeline.dashboard.auth.password_fits", fits)
    door = Auth(Settings(dashboard_host="0.0.0.0", dashboard_password_file=passwords), clock=lambda: 0.0)
    with ThreadPoolExecutor(100) as pool:
        cookies = list(pool.map(lambda n: door.log_in(name, f"guess {n}"), range(100)))
    assert cookies == [None] * 100
    assert len(looked_at) == 5
    assert door.log_in(name, "correct horse") is None


class Slow(float):
    """A time with which it takes long to reckon: the other threads go on meanwhile."""

    def __sub__(self, other: float) -> float:
        time.sleep(0.002)
        return float(self) - other


def test_no_try_slips_in_while_another_is_counted(passwords: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at = []
    monkeypatch.setattr("pipeline.dashboard.auth.password_fits", lambda password, _: bool(looked_at.append(password)))
    door = Auth(Settings(dashboard_host="0.0.0.0", dashboard_password_file=passwords), clock=lambda: Slow(1000.0))
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda n: door.log_in("ann", f"guess {n}"), range(50)))
    assert len(looked_at) == 5


def test_made_up_names_share_their_tries(passwords: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else each of them costs a hash and a place in memory, and there is no end of them."""
    looked_at = []
    monkeypatch.setattr("pipeline.dashboard.auth.password_fits", lambda password, _: bool(looked_at.append(password)))
    door = Auth(Settings(dashboard_host="0.0.0.0", dashboard_password_file=passwords), clock=lambda: 0.0)
    for n in range(6_000):
        assert door.log_in(f"made up {n}", "a guess") is None
    assert len(looked_at) < 5_000


def test_made_up_names_free_nobody_who_waits(passwords: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.dashboard.auth.password_fits", lambda password, _: password == "correct horse")
    door = Auth(Settings(dashboard_host="0.0.0.0", dashboard_password_file=passwords), clock=lambda: 0.0)
    for _ in range(5):
        assert door.log_in("ann", "wrong password") is None
    for n in range(5_000):
        assert door.log_in(f"made up {n}", "correct horse") is None
    assert door.log_in("ann", "correct horse") is None


def test_who_logs_in_has_all_tries_again(passwords: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.dashboard.auth.password_fits", lambda password, _: password == "correct horse")
    door = Auth(Settings(dashboard_host="0.0.0.0", dashboard_password_file=passwords), clock=lambda: 0.0)
    for _ in range(20):
        assert [door.log_in("ann", "wrong password") for _ in range(4)] == [None] * 4
        assert door.log_in("ann", "correct horse") is not None


def test_a_header_is_believed_from_the_proxy_alone() -> None:
    door = auth(dashboard_host="0.0.0.0", dashboard_user_header="X-User", dashboard_proxies="10.0.0.9")
    said = {"X-User": "ann"}.get
    assert door.user(None, said, "10.0.0.9") == "ann"
    assert door.user(None, said, "10.0.0.8") is None
    assert door.user(None, nothing, "10.0.0.9") is None


@pytest.mark.parametrize("text", ["", "ann:secret\n", "no colon\n"])
def test_a_password_file_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "p").write_text(text, "utf-8")
    with pytest.raises(UserError, match=r"--set-password"):
        read_passwords(tmp_path / "p")
