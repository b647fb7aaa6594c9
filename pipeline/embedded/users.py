"""The two users of the embedded ClickHouse: their passwords lie in a file that only its owner can read.

`default` may read and write, `reader` only read. Other programs of the machine, and pages in a browser on it, reach the
port as well: whoever can read the file is who is meant.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pipeline.embedded.access import Role
from pipeline.errors import UserError
from pipeline.whole_file import write_whole
from schemas.translatable import Foreign

WRITER, READER = "default", "reader"
_ROLES: Final[dict[str, Role]] = {WRITER: "writer", READER: "reader"}


def private_folder(path: Path) -> None:
    """Make `path` a folder that only its owner can look into; one with other things in it than ours stays as it is.

    Raises UserError if it can't be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        if (path / "clickhouse").is_dir() or not any(path.iterdir()):
            path.chmod(0o700)
    except OSError as exc:
        raise UserError("the folder {path} can't be used: {why}", path=path, why=Foreign(exc.strerror)) from None


def users_file(folder: Path) -> Path:
    """Where the passwords for the data in `folder` are: beside it, so that no query can read them."""
    return folder.with_name(folder.name + ".users")


def read_users(path: Path) -> dict[str, str]:
    """Password by name; the file is made if there is none. It has lines like `curl --user` wants them: name:password.

    Raises UserError if it can't be read or made, or says something else.
    """
    try:
        _make(path)
        path.chmod(0o600)
        lines = path.read_text("ascii").split()
    except (OSError, UnicodeDecodeError) as exc:
        raise UserError(
            "the passwords of the embedded ClickHouse, {path}, can't be read or made: {why}", path=path, why=exc
        ) from None
    found = dict(line.split(":", 1) for line in lines if ":" in line)
    if found.keys() != _ROLES.keys() or not all(found.values()):
        raise UserError(
            "{path} does not hold the passwords of default and reader: remove it, and new ones are made", path=path
        )
    return found


def _make(path: Path) -> None:
    """Write new passwords, unless there are some: whole, or not at all."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, "".join(f"{name}:{secrets.token_urlsafe(24)}\n" for name in _ROLES))


def role_of(users: Mapping[str, str], name: str, password: str) -> Role | None:
    """What a user may; None for a wrong name or password."""
    expected = users.get(name, "")
    fits = hmac.compare_digest(password.encode(errors="surrogateescape"), expected.encode())
    return _ROLES[name] if fits and expected else None


def credentials(headers: Mapping[str, str], params: Mapping[str, str]) -> tuple[str, str]:
    """Name and password of a request, as ClickHouse takes them: Basic, its own headers, or the URL."""
    scheme, _, rest = headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            name, _, password = base64.b64decode(rest.strip(), validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return "", ""
        return name or WRITER, password
    if "X-ClickHouse-User" in headers or "X-ClickHouse-Key" in headers:
        return headers.get("X-ClickHouse-User") or WRITER, headers.get("X-ClickHouse-Key", "")
    return params.get("user") or WRITER, params.get("password", "")
