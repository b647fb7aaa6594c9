"""The classes that a start of Kafka loads, made ready once for a Java and a folder of jars: a start takes half as long.

The JVM keeps them in a file (dynamic class data sharing, JEP 350), which it writes when a server ends that was started
for that, and reads if it is of the same Java and the same jars. `node.command` names the file where there is one.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from pipeline.embedded.child import Child, free_port
from pipeline.embedded.kafka.node import SETTINGS, classes_file, make_storage, properties, server_command
from pipeline.errors import UserError


def keep_classes(java: str, jars: Path, patience: float = 90.0) -> None:
    """Make the file of classes beside the folder `jars`, some 50 MB, in the time of a start and a stop.

    Each of them may take `patience` seconds.

    Where it can't be made (a Java without a file of its own classes, a full disk) an empty one says so: Kafka starts
    without it, and it isn't tried each time. Those of other Javas go.
    """
    file = classes_file(java, jars)
    for old in file.parent.glob(f"{jars.name}-*{file.suffix}"):
        old.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(dir=file.parent, prefix=f"{jars.name}-") as scratch, ThreadPoolExecutor(1) as own:
        made = Path(scratch, "classes")
        try:
            # The caller may have an event loop of its own.
            if not own.submit(asyncio.run, _start_and_stop(java, jars, Path(scratch), made, patience)).result():
                made.unlink(missing_ok=True)
            # Whole, or not there: a part of it, after a power cut, could crash every start.
            with open(made, "rb") as written:
                os.fsync(written.fileno())
        except (OSError, UserError):
            made.unlink(missing_ok=True)
            made.touch()
        made.rename(file)


async def _start_and_stop(java: str, jars: Path, folder: Path, made: Path, patience: float) -> bool:
    """Run a server on a log of its own, which ends when it listens, and writes its classes to `made`.

    False if it had to be killed, perhaps while it wrote.
    """
    port, controller = free_port()[0], free_port()[0]
    text = partial(properties, SETTINGS, {"BROKER": (port, port), "CONTROLLER": (controller, controller)})
    make_storage(java, jars, folder / "kafka.log", folder / "log", text)
    (folder / "server.properties").write_text(text(folder / "log"))
    program, *rest = server_command(java, jars, folder / "kafka.log", folder / "server.properties")
    child = Child("Kafka", [program, f"-XX:ArchiveClassesAtExit={made}", *rest], folder / "kafka.out")
    child.start()

    async def listens() -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            return False
        writer.close()
        return True

    await child.wait_ready(listens, patience)
    code = await child.stop(patience)
    return code is not None and code >= 0
