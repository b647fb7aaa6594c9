"""The folder of an `up`: which settings reach what runs in it, and where its parts answer.

Other commands on the machine (verify, doctor, backup) need both, and an `up` chooses ports. So it writes them down once
it is ready, for its owner only: the settings hold ClickHouse's password.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import SecretStr

from pipeline.errors import UserError
from pipeline.settings import Settings

SETTINGS_FILE: Final = "settings.toml"
ADDRESSES_FILE: Final = "addresses.json"
STREAM_FILE: Final = "stream.json"


def write_down(folder: Path, settings: Settings, addresses: Mapping[str, str]) -> None:
    """Write both files, whole. Raises OSError of the disk."""
    lines = ["# Written by `streamgauge up` at each start. For other commands: --config " + SETTINGS_FILE]
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if name == "plan" and Path(value).is_file():
            value = Path(value)
        if value is not None and (name in settings.model_fields_set or name in _ALWAYS):
            lines.append(f"{name} = {_toml(value)}")
    _write(folder / SETTINGS_FILE, "\n".join(lines) + "\n")
    _write(folder / ADDRESSES_FILE, json.dumps(dict(addresses)) + "\n")


def settings_in(folder: Path | None, config: Path | None) -> Path | None:
    """The settings file to read: the given one, else that of the folder. Raises UserError if the folder has none."""
    if folder is None or config is not None:
        return config
    if not (folder / SETTINGS_FILE).is_file():
        raise UserError(
            "{folder} has no {file}: it is written when `streamgauge up --data {folder}` is ready",
            folder=folder, file=SETTINGS_FILE,
        )  # fmt: skip
    return folder / SETTINGS_FILE


def addresses_in(folder: Path) -> dict[str, str]:
    """Where the parts answer, by name; empty if nothing says it. Raises UserError if the file can't be read."""
    path = folder / ADDRESSES_FILE
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as exc:
        raise UserError("{path} can't be read: {why}", path=path, why=exc) from None
    if not isinstance(found, dict) or not all(isinstance(url, str) for url in found.values()):
        raise UserError("{path} can't be read: it is no list of addresses", path=path)
    return found


def name_stream(folder: Path, log: str, stream: str) -> None:
    """Note that the log which would name the stream `log` holds that of a back-up: `stream`. Raises OSError."""
    _write(folder / STREAM_FILE, json.dumps({log: stream}) + "\n")


def stream_in(folder: Path, log: str) -> str:
    """The stream of the log that would name it `log`. Raises UserError if the note can't be read."""
    path = folder / STREAM_FILE
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        return log
    except (OSError, ValueError) as exc:
        raise UserError("{path} can't be read: {why}", path=path, why=exc) from None
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found.values()):
        raise UserError("{path} can't be read: it names no stream", path=path)
    return str(found.get(log, log))


#: What other commands need, set or not.
_ALWAYS: Final = frozenset({"plan", "stream", "kafka_bootstrap", "clickhouse_url", "clickhouse_user"})


def _toml(value: Any) -> str:
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, Path):
        value = os.fspath(value.absolute())
    # JSON's escapes are TOML's, but for the one character that JSON leaves as it is.
    return json.dumps(str(value)).replace("\x7f", "\\u007f")


def _write(path: Path, text: str) -> None:
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
