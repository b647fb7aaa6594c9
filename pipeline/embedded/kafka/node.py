"""How one node of Kafka is started: its settings, its command, its storage.

What it keeps and what it costs is decided here: see docs/decisions/0017-a-broker-that-keeps.md.
"""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import uuid
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from pipeline.errors import UserError

_LOG4J: Final = Path(__file__).with_name("log4j2.properties")
_DAY_MS: Final = 86_400_000
_MIB: Final = 1 << 20
#: Of the Java heap. The process takes some 150 MB more.
HEAP_MB: Final = 256
#: How far back the log reaches, and how much of it there is of a partition at the most.
RETENTION_MS: Final = 30 * _DAY_MS
RETENTION_BYTES: Final = 1024 * _MIB

# One garbage collector thread, the quick compiler: a start in seconds and little memory matter more than speed. Out of
# memory it ends, and is started again.
_JVM: Final = (
    "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-XX:-UsePerfData", "-Xss512k",
    "-XX:+ExitOnOutOfMemoryError",
)  # fmt: skip

#: Of every node: one, and few files, for each partition costs a folder and a few memory maps.
SETTINGS: Final[Mapping[str, str]] = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    # A node that was killed may register again only when its last session is over (9 s if not said).
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
    # Else a record twice a second, each forced to the disk, to say that nothing has happened.
    "metadata.max.idle.interval.ms": "0",
    # Topics are created on purpose: a name typed wrong must fail, not appear.
    "auto.create.topics.enable": "false",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    "default.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "offsets.topic.replication.factor": "1",
    # A group that was away for long, or whose machine's clock jumps, goes on where it was.
    "offsets.retention.minutes": str(5 * 365 * 24 * 60),
    "transaction.state.log.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "num.network.threads": "2",
    "num.io.threads": "2",
    "background.threads": "2",
    "log.cleaner.dedupe.buffer.size": str(4 * _MIB),  # 128 MB of the heap otherwise
    # The largest record that there is, one of the rejected topic, with its batch; else 100 MB of a heap of 256.
    "socket.request.max.bytes": str(32 * _MIB),
}

#: Of a node that keeps what it acknowledges, on a disk that is not its own.
KEEPING: Final[Mapping[str, str]] = {
    # There is no second node that would have it: a record is on the disk before it is acknowledged, or read.
    "log.flush.interval.messages": "1",
    "log.retention.ms": str(RETENTION_MS),
    "log.retention.bytes": str(RETENTION_BYTES),
    # What is deleted is deleted by whole segments, the last one never.
    "log.segment.bytes": str(64 * _MIB),
    # Enough for a segment; it is mapped into memory, and a full disk is met there as a broken process.
    "log.index.size.max.bytes": str(_MIB // 4),
    "metadata.log.segment.bytes": str(8 * _MIB),
    "metadata.max.retention.bytes": str(32 * _MIB),
}


def properties(settings: Mapping[str, str], listeners: Mapping[str, tuple[int, int]], log: Path) -> str:
    """The text of `server.properties`: `settings`, where it listens, and its log in the folder `log`.

    `listeners` are ports of the loopback address by name: the one it listens on, and the one it tells clients.
    `CONTROLLER` is its own; the first of the others is, too.
    """
    controller = listeners["CONTROLLER"][0]
    names = [name for name in listeners if name != "CONTROLLER"]
    found = {
        **settings,
        "inter.broker.listener.name": names[0],
        "controller.quorum.bootstrap.servers": f"127.0.0.1:{controller}",
        "listeners": ",".join(f"{name}://127.0.0.1:{listen}" for name, (listen, _) in listeners.items()),
        "advertised.listeners": ",".join(f"{name}://127.0.0.1:{tell}" for name, (_, tell) in listeners.items()),
        "listener.security.protocol.map": ",".join(f"{name}:PLAINTEXT" for name in listeners),
        "log.dirs": str(log),
    }
    # A backslash would be an escape.
    return "".join(f"{name}={value}\n".replace("\\", "\\\\") for name, value in found.items())


def classes_file(java: str, jars: Path) -> Path:
    """Where the classes that a start loads are kept ready for this Java, if they are (see `classes`)."""
    program = Path(java).resolve()
    found = program.stat()
    named = zlib.crc32(f"{program} {found.st_size} {found.st_mtime_ns}".encode())
    return jars.with_name(f"{jars.name}-{named:08x}.jsa")


def command(java: str, jars: Path, log_file: Path, heap_mb: int, *run: str) -> list[str]:
    """The command that runs a class of Kafka (`run`: its name and arguments), its words in `log_file`."""
    classes = classes_file(java, jars)
    ready = classes.is_file() and classes.stat().st_size > 0
    return [
        java,
        f"-Xmx{heap_mb}m",
        *_JVM,
        *([f"-XX:SharedArchiveFile={classes}"] if ready else []),
        f"-XX:ErrorFile={log_file.with_name('kafka-crash.log')}",
        f"-Dlog4j2.configurationFile={_LOG4J}",
        f"-Dkafka.log={log_file}",
        "-cp",
        f"{jars}/*",
        *run,
    ]


def server_command(java: str, jars: Path, log_file: Path, file: Path, heap_mb: int = HEAP_MB) -> list[str]:
    """The command of the server with the settings in `file`."""
    return command(java, jars, log_file, heap_mb, "kafka.Kafka", str(file))


def make_storage(java: str, jars: Path, log_file: Path, log: Path, text: Callable[[Path], str]) -> None:
    """Make the storage of a new node in the folder `log`, whole or not at all, with an id of its own.

    `text` gives the properties of a node with its log in a folder. Raises UserError if it can't be made.
    """
    scratch, file = log.with_name(f"{log.name}.new"), log.with_name(f"{log.name}.properties")
    shutil.rmtree(scratch, ignore_errors=True)
    file.write_text(text(scratch))
    cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    run = ("kafka.tools.StorageTool", "format", "--standalone")
    done = subprocess.run(
        # Joined with "=", for an id may begin with a dash.
        [*command(java, jars, log_file, HEAP_MB, *run), f"--cluster-id={cluster}", f"--config={file}"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
    )
    if done.returncode != 0:
        words = " | ".join(line.strip() for line in done.stdout.splitlines() if line.strip())
        raise UserError("Kafka's storage could not be made: {words}", words=words[-2000:])
    file.unlink()
    os.sync()  # a power cut leaves all of it, or a folder that is made anew
    scratch.rename(log)


def cluster_id(log: Path) -> str | None:
    """The id of the storage in the folder `log`; None if there is none yet."""
    try:
        lines = (log / "meta.properties").read_text().splitlines()
    except FileNotFoundError:
        return None
    return next((line.partition("=")[2] for line in lines if line.startswith("cluster.id=")), None)
