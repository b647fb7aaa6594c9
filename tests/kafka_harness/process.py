"""Processes and ports that tests leave no trace of."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pipeline.embedded import child

# prctl(PR_SET_PDEATHSIG, SIGKILL), then become the program. A wrapper and not Popen's preexec_fn, which is
# not safe in a process with threads. The parent may have died before prctl was called: hence the check.
_DIE_WITH_PARENT = """
import ctypes, os, sys
if sys.platform == "linux" and ctypes.CDLL(None, use_errno=True).prctl(1, 9, 0, 0, 0) != 0:
    sys.exit("prctl: " + os.strerror(ctypes.get_errno()))
if os.getppid() != int(sys.argv[1]):
    sys.exit("the parent is gone")
os.execvp(sys.argv[2], sys.argv[2:])
"""

# Linux sends the death signal when the *thread* that started the child ends, so every child is started by
# this one, which lives as long as the process. Otherwise a server started inside asyncio.to_thread would
# die with the event loop's thread pool.
_STARTER = ThreadPoolExecutor(max_workers=1, thread_name_prefix="starter")


def spawn(command: Sequence[str], log: Path, env: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
    """Start a process that is killed when this one ends, however it ends (on Linux).

    Both outputs are appended to `log`. The caller waits for the process (`wait()`), as with any Popen.
    """

    def start() -> subprocess.Popen[bytes]:
        with open(log, "ab") as out:
            return subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _DIE_WITH_PARENT, str(os.getpid()), *command],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=env,
            )

    return _STARTER.submit(start).result()


def free_port() -> int:
    """A port on 127.0.0.1 that nobody listens on, and that no other test of this machine is given meanwhile."""
    return child.free_port()[0]
