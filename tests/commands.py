"""The `streamgauge` command as a person runs it: a process for each call, with its own streams and environment.

To load the command takes longer than most calls run. So one process loads it, and each call is a fork of that one.
What a process does before that (its encoding, its options) is tried where it matters, by processes from scratch.
"""

from __future__ import annotations

import gc
import json
import os
import selectors
import subprocess
import sys
import tempfile
import threading
import time
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
#: What the commands load when they are called.
LOADED = (
    "pipeline.cli.main", "pipeline.alerts.check", "pipeline.alerts.history", "pipeline.archiver.load",
    "pipeline.archiver.rejected", "pipeline.backup.give", "pipeline.backup.take", "pipeline.clickhouse.migrate",
    "pipeline.demo.run", "pipeline.files.command",
    "pipeline.doctor.gather", "pipeline.files.sender", "pipeline.files.side_tables", "pipeline.kept.file",
    "pipeline.metrics.command",
    "pipeline.queries.verify", "pipeline.render.picture", "pipeline.replay.command", "pipeline.report.command",
    "pipeline.simulate.command",
)  # fmt: skip

_lock = threading.Lock()
_loaded: subprocess.Popen[str] | None = None


def run(arguments: list[str], environment: dict[str, str], timeout: float) -> subprocess.CompletedProcess[str]:
    """Call the command, and wait until it has ended. Raises TimeoutExpired."""
    with _lock, tempfile.TemporaryDirectory() as folder:
        out, err = Path(folder, "out"), Path(folder, "err")
        process = _process()
        assert process.stdin is not None
        process.stdin.write(json.dumps([arguments, environment, os.getcwd(), str(out), str(err)]) + "\n")
        process.stdin.flush()
        pid = _answer(process, 60)
        assert pid is not None, "the command could not be forked"
        code = _answer(process, timeout)
        if code is None:
            os.kill(pid, 9)
            _answer(process, 60)
            raise subprocess.TimeoutExpired(arguments, timeout)
        return subprocess.CompletedProcess(arguments, code, out.read_text("utf-8"), err.read_text("utf-8"))


def end() -> None:
    """End the process that the calls are forks of, if there is one."""
    global _loaded
    if _loaded is not None:
        _loaded.communicate()
        _loaded = None


def _process() -> subprocess.Popen[str]:
    global _loaded
    if _loaded is None:
        _loaded = subprocess.Popen(
            [sys.executable, "-P", __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
            # One thread only: a fork has but the one that made it.
            env={**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"},
        )  # fmt: skip
    return _loaded


def _answer(process: subprocess.Popen[str], timeout: float) -> int | None:
    """The next number that it says; None if it says none within so many seconds."""
    assert process.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        if not selector.select(timeout):
            return None
    return int(process.stdout.readline())


def _serve() -> None:
    for module in LOADED:
        import_module(module)
    gc.freeze()
    while line := sys.stdin.readline():
        arguments, environment, folder, *outputs = json.loads(line)
        pid = os.fork()
        if pid == 0:
            for number, path in enumerate(outputs, 1):
                os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), number)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.environ.clear()
            os.environ.update(environment)
            time.tzset()
            os.chdir(folder)
            sys.argv = ["streamgauge", *arguments]
            sys.modules["pipeline.cli.main"].main()
            return
        # In one piece each: whoever waits for the first must not find the second read already.
        os.write(1, b"%d\n" % pid)
        os.write(1, b"%d\n" % os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


if __name__ == "__main__":
    _serve()
