"""Where Kafka's jars come from: a folder in the user's cache, filled once through Maven."""

from __future__ import annotations

import fcntl
import functools
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from xml.etree import ElementTree

POM = Path(__file__).with_name("pom.xml")
LOG4J = Path(__file__).with_name("log4j2.properties")
OLDEST_JAVA = 17


def kafka_version() -> str:
    """The Kafka version the tests run against, as `pom.xml` says it."""
    version = ElementTree.parse(POM).findtext(".//{*}kafka.version")
    if version is None:
        raise RuntimeError(f"{POM} has no kafka.version")
    return version


def jars_folder() -> Path:
    """The folder of jars: STREAMGAUGE_KAFKA_DIR, or one in the user's cache. It may not exist yet.

    STREAMGAUGE_KAFKA_DIR may be the `libs` folder of an ordinary Kafka distribution.
    """
    given = os.environ.get("STREAMGAUGE_KAFKA_DIR")
    if given:
        return Path(given).expanduser().resolve()
    return Path.home() / ".cache" / "streamgauge" / f"kafka-{kafka_version()}"


def kafka_available() -> str | None:
    """Why Kafka can't be run here, in one line, or None if it can."""
    reason = _java_missing()
    if reason is None and not _filled(jars_folder()) and shutil.which("mvn") is None:
        reason = f"no Kafka in {jars_folder()} and no mvn to fetch it with: install Maven"
    return reason


def kafka_jars() -> Path:
    """The folder of jars, fetched first if need be (tens of MB, the first time only).

    Two processes at once are safe: the second waits for the first, and a folder appears whole or not at all.
    Raises RuntimeError with Maven's own words if the jars can't be fetched.
    """
    folder = jars_folder()
    if _filled(folder):
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(folder.with_name(f"{folder.name}.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _filled(folder):
            with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f"{folder.name}-") as scratch:
                libs = Path(scratch, "libs")
                _fetch(libs)
                libs.rename(folder)  # succeeds over an empty folder, fails over any other
    return folder


def _fetch(libs: Path) -> None:
    """Let Maven copy the server's jars to `libs`."""
    done = subprocess.run(
        [
            *("mvn", "-q", "-B", "-f", str(POM), "dependency:copy-dependencies"),
            *(f"-DoutputDirectory={libs}", "-DincludeScope=runtime"),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=900,
    )
    if done.returncode != 0 or not _filled(libs):
        raise RuntimeError(
            f"could not fetch Kafka {kafka_version()} with mvn (or put its jars in a folder and name it in "
            f"STREAMGAUGE_KAFKA_DIR):\n{done.stdout[-2000:]}"
        )


def _filled(folder: Path) -> bool:
    return any(folder.glob("kafka_2.*.jar"))


@functools.cache
def _java_missing() -> str | None:
    if shutil.which("java") is None:
        return f"no java: install a Java {OLDEST_JAVA} runtime"
    said = subprocess.run(["java", "-version"], capture_output=True, text=True, timeout=60).stderr
    found = re.search(r'version "(?:1\.)?(\d+)', said)
    if found is None:
        return f"can't tell the version of java from {said!r}"
    if int(found[1]) < OLDEST_JAVA:
        return f"java is version {found[1]}, Kafka needs {OLDEST_JAVA} or newer"
    return None
