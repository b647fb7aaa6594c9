"""The systems in Java: building them, and running one on one core."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pipeline.embedded.child import Child
from pipeline.embedded.kafka.java import java
from pipeline.errors import UserError

from ..machine import peak_memory
from ..place import tail
from .ground import CORE, Ground, on
from .measured import Measured, Point

Say = Callable[[str], None]
_HERE: Final = Path(__file__).parent
BUILD: Final = Path("build/jvm")
_BUILD_SECONDS: Final = 900
_SECONDS: Final = 1_800.0
_LOOK_SECONDS: Final = 0.1
#: For one core: the collector of throughput, on one thread, and a heap that is large enough and has a bound.
JAVA_OPTIONS: Final = "-Xms512m -Xmx1536m -XX:+UseParallelGC -XX:ParallelGCThreads=1 -XX:-UsePerfData"
#: datasketches-memory reaches into the JDK, as its documentation says, and so does Flink.
_OPENS: Final = (
    "java.base/java.lang", "java.base/java.lang.reflect", "java.base/java.math", "java.base/java.net",
    "java.base/java.nio", "java.base/java.text", "java.base/java.time", "java.base/java.util",
    "java.base/java.util.concurrent", "java.base/java.util.concurrent.atomic", "java.base/java.util.concurrent.locks",
    "java.base/jdk.internal.misc", "java.base/jdk.internal.ref", "java.base/sun.net.util", "java.base/sun.nio.ch",
)  # fmt: skip


@dataclass(frozen=True)
class System:
    """A contender in Java. `save_ms` is how often it saves its state, `rows_ms` how often rows go out."""

    name: str
    module: str
    program: str
    arguments: tuple[str, ...] = ()
    save_ms: int = 2_000
    rows_ms: int = 1_000


STREAMS: Final = System("Kafka Streams 4.4, exactly once", "streams", "streamgauge.job.StreamsJob")
#: All of the state is written at each checkpoint, so less often.
CHAINED: Final = System(
    "Flink 2.2, chained", "flink", "streamgauge.job.FlinkJob", ("--variant", "chained"), save_ms=10_000
)
KEYED: Final = System("Flink 2.2, keyBy", "flink", "streamgauge.job.FlinkJob", ("--variant", "keyed"), save_ms=10_000)
SYSTEMS: Final[dict[str, System]] = {"streams": STREAMS, "flink": CHAINED, "flink-keyed": KEYED}


def missing() -> str | None:
    """What has to be installed first, in one line; None if nothing."""
    try:
        program = Path(java())
    except UserError as exc:
        return str(exc)
    if shutil.which("mvn") is None:
        return "no mvn: install Maven (Debian: maven)"
    if shutil.which("javac") is None and not program.with_name("javac").exists():
        return f"{program} is no JDK, there is no javac: install one of Java 17 or newer (openjdk-17-jdk-headless)"
    return None


def build() -> None:
    """Build all systems; Maven fetches their libraries the first time. Raises UserError with its words."""
    command = ["mvn", "-q", "-B", f"-Dstreamgauge.build={BUILD.resolve()}", "-f", str(_HERE / "pom.xml"), "package"]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        timeout=_BUILD_SECONDS,
    )  # fmt: skip
    if done.returncode:
        words = " | ".join(line for line in done.stdout.splitlines() if line.strip())
        raise UserError(f"Maven could not build the systems: {words[:1500]}")


def _command(system: System, options: str) -> list[str]:
    module = BUILD.resolve() / system.module
    opens = [f"--add-opens={package}=ALL-UNNAMED" for package in _OPENS]
    quiet = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
    path = f"{module / f'{system.module}-1.jar'}:{module / 'libs'}/*"
    return [java(), *options.split(), *opens, quiet, "-cp", path, system.program]


async def run(
    system: System, ground: Ground, plan: Path, topic: str, name: str, expected: int, options: str = JAVA_OPTIONS
) -> Measured:
    """Let a system handle the `expected` records that wait for it in a topic; its rows go to the topic `name`-rows.

    Raises RuntimeError with the end of its output if it fails or takes too long.
    """
    log = ground.data / f"{name}.log"
    log.unlink(missing_ok=True)
    state = ground.data / f"{name}-state"
    state.mkdir(exist_ok=True)
    given = {
        "bootstrap": ground.bootstrap, "topic": topic, "rows": f"{name}-rows", "name": name, "expected": expected,
        "plan": plan, "state": state, "save-ms": system.save_ms, "rows-ms": system.rows_ms,
    }  # fmt: skip
    arguments = [word for key, value in given.items() for word in (f"--{key}", str(value))]
    # Without what else may be set for Java on this machine.
    env = {key: value for key, value in os.environ.items() if key not in ("JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS")}
    child = Child(system.name, [*_command(system, options), *arguments, *system.arguments], log, env=env)
    with on({CORE}):
        child.start()
    deadline, memory = time.monotonic() + _SECONDS, 0
    while child.running and time.monotonic() < deadline:
        assert child.pid is not None
        try:
            memory = max(memory, peak_memory(child.pid))
        except (OSError, RuntimeError):
            break  # it has ended meanwhile
        await asyncio.sleep(_LOOK_SECONDS)
    while child.running and time.monotonic() < deadline:
        await asyncio.sleep(_LOOK_SECONDS)
    in_time = not child.running
    code = await child.stop(0)
    if code != 0 or not in_time:
        ended = f"ended with {code}" if in_time else f"was not done after {_SECONDS:.0f} s"
        raise RuntimeError(f"{system.name} {ended}: {tail(log)}")
    return Measured(_points(log.read_text("utf-8", "replace").splitlines()), memory)


def _points(lines: Sequence[str]) -> list[Point]:
    found: list[dict[str, Any]] = [json.loads(line) for line in lines if line.startswith('{"records"')]
    return [Point(one["records"], one["at"], one["cpu"]) for one in found]
