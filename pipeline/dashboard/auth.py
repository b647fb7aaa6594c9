"""Who may look. On the loopback address anybody; beyond it a password, or the word of a proxy that has checked.

The password file has one `name:scrypt$N$r$p$salt$hash` a line (RFC 7914, Python's own `hashlib.scrypt`).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
import secrets
import threading
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

from pipeline.errors import UserError
from pipeline.serve.guard import is_loopback
from pipeline.settings import Settings

#: 32 MiB and about 60 ms a try: nothing for a person, much for somebody who tries a list.
_N, _R, _P = 2**15, 8, 1
_MEMORY: Final = 64 * 2**20
SESSION_SECONDS: Final = 12 * 3600
COOKIE: Final = "streamgauge"
_NAME = re.compile(r"^[A-Za-z0-9._@-]{1,64}$")
MIN_PASSWORD: Final = 10
#: Wrong passwords that a name may have in a while, before it has to wait.
_TRIES, _WHILE_SECONDS = 5, 60.0
#: Names that nobody has are counted as so many.
_STRANGERS: Final = 997


def hash_password(password: str) -> str:
    """What stands in the password file instead of the password."""
    salt = os.urandom(16)
    made = hashlib.scrypt(password.encode(), salt=salt, n=_N, r=_R, p=_P, maxmem=_MEMORY)
    return f"scrypt${_N}${_R}${_P}${base64.b64encode(salt).decode()}${base64.b64encode(made).decode()}"


def password_fits(password: str, stored: str) -> bool:
    """Whether `password` made the line `stored`."""
    _, n, r, p, salt, made = stored.split("$")
    found = hashlib.scrypt(password.encode(), salt=base64.b64decode(salt), n=int(n), r=int(r), p=int(p), maxmem=_MEMORY)
    return hmac.compare_digest(found, base64.b64decode(made))


def read_passwords(path: Path) -> dict[str, str]:
    """Name to stored password. Raises UserError for a file that can't be used."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        raise UserError("the password file {path} can't be read: {why}", path=path, why=exc) from None
    found: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith("#"):
            continue
        name, _, stored = line.strip().partition(":")
        if not _NAME.match(name) or not re.match(r"^scrypt\$\d+\$\d+\$\d+\$[A-Za-z0-9+/=]+\$[A-Za-z0-9+/=]+$", stored):
            raise UserError(
                "{path}, line {line}: not a line of `streamgauge dashboard --set-password NAME`", path=path, line=number
            )
        found[name] = stored
    if not found:
        raise UserError("{path} names nobody: add a line with `streamgauge dashboard --set-password NAME`", path=path)
    return found


def set_password(path: Path, name: str, password: str) -> None:
    """Write or replace the line of `name`, in a file that only its owner can read."""
    if not _NAME.match(name):
        raise UserError("a name has letters, digits, and . _ @ - only")
    if len(password) < MIN_PASSWORD:
        raise UserError("a password has {least} characters at least", least=MIN_PASSWORD)
    kept = []
    if path.exists():
        kept = [line for line in path.read_text("utf-8").splitlines() if not line.startswith(f"{name}:")]
    kept.append(f"{name}:{hash_password(password)}")
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write("\n".join(kept) + "\n")


class Auth:
    """Decides who may look, by the settings. Raises UserError if they would leave the door open."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._header = settings.dashboard_user_header
        self._proxies = {one.strip() for one in settings.dashboard_proxies.split(",") if one.strip()}
        self._passwords = (
            read_passwords(settings.dashboard_password_file) if settings.dashboard_password_file is not None else {}
        )
        if not is_loopback(settings.dashboard_host) and not self._passwords and not self._header:
            raise UserError(
                "the dashboard would be open to everybody on {host}: give it a login with "
                "PIPELINE_DASHBOARD_PASSWORD_FILE (see `streamgauge dashboard --set-password`), or behind a proxy "
                "PIPELINE_DASHBOARD_USER_HEADER",
                host=settings.dashboard_host,
            )
        # A session outlives no restart: nothing secret has to be kept.
        self._key = secrets.token_bytes(32)
        #: When each name was tried; a login that succeeds forgets it. Tries come from several threads.
        self._tries: dict[str, list[float]] = {}
        self._lock = threading.Lock()

    @property
    def open(self) -> bool:
        """Whether anybody who reaches the port may look."""
        return not self._passwords and not self._header

    @property
    def by_password(self) -> bool:
        """Whether there is a form to log in."""
        return bool(self._passwords)

    def user(self, cookie: str | None, header: Callable[[str], str | None], peer: str | None) -> str | None:
        """The name of whoever asks, None if they have to log in; "" where nobody has to."""
        if self.open:
            return ""
        if self._header and peer in self._proxies and (name := header(self._header)):
            return name[:100]
        return self._session_user(cookie or "")

    def log_in(self, name: str, password: str) -> str | None:
        """The cookie of a new session; None if the two don't fit or it was tried too often."""
        now = self._clock()
        if not self._counts(name, now):
            return None
        stored = self._passwords.get(name)
        # A name that is not there takes as long as one that is.
        fits = password_fits(password, stored or next(iter(self._passwords.values())))
        if not (fits and stored):
            return None
        with self._lock:
            self._tries.pop(name, None)
        body = f"{name}|{int(now + SESSION_SECONDS)}"
        return f"{body}|{self._sign(body)}"

    def _counts(self, name: str, now: float) -> bool:
        """Count a try before its password is looked at: however many come at once, no more than these are."""
        if name not in self._passwords:
            # Made-up names share their tries, so that there is no end of neither memory nor work.
            name = f"?{zlib.crc32(name.encode(errors='replace')) % _STRANGERS}"
        with self._lock:
            tries = [at for at in self._tries.get(name, []) if at > now - _WHILE_SECONDS]
            if len(tries) >= _TRIES:
                return False
            self._tries[name] = [*tries, now]
            return True

    def _session_user(self, cookie: str) -> str | None:
        body, _, signature = cookie.rpartition("|")
        name, _, until = body.rpartition("|")
        if not until.isdecimal() or not hmac.compare_digest(signature.encode(), self._sign(body).encode()):
            return None
        return name if int(until) > self._clock() and name in self._passwords else None

    def _sign(self, body: str) -> str:
        return hmac.new(self._key, body.encode(), "sha256").hexdigest()
