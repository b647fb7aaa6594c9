"""Where Kafka's jars come from: a Kafka that is there, or a folder in the user's cache, filled once through Maven.

What a start loads of that one is made ready at once (see `classes`).
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from pipeline.embedded.kafka.classes import keep_classes
from pipeline.embedded.kafka.java import java
from pipeline.embedded.kafka.node import classes_file
from pipeline.errors import UserError
from schemas.translatable import Sentence

POM: Final = Path(__file__).with_name("pom.xml")
#: Names a Kafka as `--kafka-dir` does.
VARIABLE: Final = "STREAMGAUGE_KAFKA_DIR"
#: The first version without ZooKeeper.
_OLDEST: Final = 4
_FETCH_SECONDS: Final = 900


def kafka_version() -> str:
    """The Kafka version that is fetched, and that the tests run against, as `pom.xml` says it."""
    version = re.search(r"<kafka\.version>(.+)</kafka\.version>", POM.read_text("utf-8"))
    assert version is not None, f"{POM} has no kafka.version"
    return version[1]


def kafka_missing(given: Path | None = None) -> str | None:
    """Why Kafka can't be run here, in one line, or None if it can, once it is fetched."""
    try:
        java()
        folder = jars_folder(given)
    except UserError as exc:
        return str(exc)
    if not _filled(folder) and shutil.which("mvn") is None:
        return (
            f"no Kafka in {folder} and no mvn to fetch it with: install Maven, or unpack Kafka and name its folder "
            f"(--kafka-dir)"
        )
    return None


def jars_folder(given: Path | None = None) -> Path:
    """The folder of jars: of the Kafka `given` (or that the variable names), else one in the user's cache.

    That one may not exist yet. What is given may be an unpacked Kafka or its folder `libs`. Raises UserError if it is
    neither, or too old.
    """
    named = given or (Path(os.environ[VARIABLE]) if os.environ.get(VARIABLE) else None)
    if named is None:
        return _cache() / f"kafka-{kafka_version()}"
    named = named.expanduser().resolve()
    for folder in (named / "libs", named):
        for jar in _jars(folder):
            version = re.search(r"-(\d+)[^-]*\.jar$", jar.name)
            if version is not None and int(version[1]) < _OLDEST:
                raise UserError(
                    "{folder} has {name}: Kafka {oldest}.0 or newer is needed",
                    folder=folder,
                    name=jar.name,
                    oldest=_OLDEST,
                )
            return folder
    raise UserError(
        "{path} holds no Kafka: name the folder of an unpacked one (with libs/kafka_2.13-….jar)", path=named
    )


def kafka_jars(given: Path | None = None, say: Callable[[str], None] = lambda line: None) -> Path:
    """The folder of jars, fetched the first time (43 MB), its classes made ready (10 s); `say` is told.

    Two processes at once are safe: the second waits for the first, and a folder appears whole or not at all.
    Raises UserError with Maven's own words if the jars can't be fetched.
    """
    folder = jars_folder(given)
    if _filled(folder) and (_of_others(folder) or classes_file(java(), folder).exists()):
        return folder
    if (why := kafka_missing(given)) is not None:
        raise UserError(why)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(folder.with_name(f"{folder.name}.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _filled(folder):
            say(
                Sentence(
                    "Fetching Apache Kafka {version} through Maven into {folder}, once (43 MB) …",
                    version=kafka_version(),
                    folder=folder,
                )
            )
            with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f"{folder.name}-") as scratch:
                libs = Path(scratch, "libs")
                _fetch(libs)
                libs.rename(folder)  # succeeds over an empty folder, fails over any other
        if not classes_file(java(), folder).exists():
            say(Sentence("Making Kafka's classes ready for quick starts, once (10 s) …"))
            keep_classes(java(), folder)
    return folder


def _of_others(folder: Path) -> bool:
    """Whether nothing may be put beside it: it was given, or this user can't write there."""
    return folder.parent != _cache() or not os.access(folder.parent, os.W_OK)


def _cache() -> Path:
    return Path.home() / ".cache" / "streamgauge"


def _fetch(libs: Path) -> None:
    """Let Maven copy the server's jars to `libs`."""
    try:
        done = subprocess.run(
            [
                *("mvn", "-q", "-B", "-f", str(POM), "dependency:copy-dependencies"),
                *(f"-DoutputDirectory={libs}", "-DincludeScope=runtime"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_FETCH_SECONDS,
        )
        said, failed = done.stdout, done.returncode != 0
    except subprocess.TimeoutExpired:
        said, failed = f"it took longer than {_FETCH_SECONDS} s", True
    if failed or not _filled(libs):
        words = " | ".join(line for line in said.splitlines() if line.strip())
        raise UserError(
            "Kafka {version} could not be fetched through Maven (try again, or unpack Kafka and "
            "name its folder with --kafka-dir): {words}",
            version=kafka_version(),
            words=words[:1000],
        )


def _filled(folder: Path) -> bool:
    return bool(_jars(folder))


def _jars(folder: Path) -> list[Path]:
    return sorted(folder.glob("kafka_2.*-*.jar"))
