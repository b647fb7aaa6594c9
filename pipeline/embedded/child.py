"""Child processes that do not outlive us, for the embedded broker and the embedded ClickHouse.

A child runs in a session of its own, so Ctrl-C in the terminal reaches only its parent, which stops it in
order. If the parent dies without that (``kill -9``), the child ends too: on Linux the kernel signals it
(PR_SET_PDEATHSIG); elsewhere the launcher stays, waits for the end of a pipe that the parent holds, and then
stops the child. Both are set up by a launcher (see `launch`) between fork and exec of the child, because code after
a fork in a process with threads is not safe.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from pipeline.errors import UserError
from schemas.translatable import Sentence

_POLL_SECONDS = 0.02
_TAIL_LINES = 5
_ERROR = "error: "
#: Linux takes those of connections from 32768 on.
_CHOSEN = range(15_000, 30_000)
_ours: set[int] = set()


def free_port(preferred: int | None = None, kept: int | None = None) -> tuple[int, bool]:
    """A loopback port to listen on: `preferred` if it is free, else another; and whether it was taken.

    It is ours until this process ends: nobody else who chooses by this is given it, though it may take seconds until
    anybody listens. What is started again has `kept` its port: others know it by now, so it is that one, or UserError.
    For its sake none is chosen from which the system takes its own for connections: there it might be taken for a
    moment.
    """
    if kept is not None:
        if not _free(kept):
            raise UserError("port {port} is taken by another program", port=kept)
        _ours.add(kept)
        return kept, False
    if preferred is not None and _free(preferred) and (preferred in _ours or _claimed(preferred)):
        return preferred, False
    for port in random.sample(_CHOSEN, 100):
        if port not in _ours and _free(port) and _claimed(port):
            return port, preferred is not None
    raise UserError("no free port on 127.0.0.1")


def _free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: a port whose last connections are still closing is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _claimed(port: int) -> bool:
    """Whether the port is ours by now: whoever holds UDP's port of the same number has it, until their process ends."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as claim:
        try:
            claim.bind(("127.0.0.1", port))
        except OSError:
            return False
        claim.detach()
    _ours.add(port)
    return True


class Child:
    """A program run as a child, its output in a file.

    `name` stands in messages. `death_signal` is what the child gets if this process dies. `held` are files that stay
    open in it: locks. `words` is the file where it says why it ended, if that isn't its output. `supervise` keeps the
    launcher as a supervisor, which is the way where the kernel can't do it.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        *,
        death_signal: signal.Signals = signal.SIGKILL,
        env: Mapping[str, str] | None = None,
        held: Sequence[int] = (),
        words: Path | None = None,
        supervise: bool = sys.platform != "linux",
    ) -> None:
        self._name = name
        self._command = tuple(command)
        self._log = log
        self._death_signal = death_signal
        self._env = dict(os.environ if env is None else env)
        self._held = tuple(held)
        self._words = words or log
        self._supervise = supervise
        self._process: subprocess.Popen[bytes] | None = None
        self._words_start = 0

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._process.pid if self._process else None

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    @property
    def ended(self) -> str:
        """How it ended, in words."""
        code = None if self._process is None else self._process.poll()
        if code is None:
            return Sentence("it runs") if self._process is not None else Sentence("not started")
        return (
            Sentence("killed by signal {signal}", signal=-code) if code < 0 else Sentence("exit code {code}", code=code)
        )

    def start(self) -> None:
        """Start the program.

        To be called from a thread that lives as long as the child should: Linux signals the child at that
        thread's end.
        """
        if self._process is not None:
            raise RuntimeError(f"{self._name} runs already")
        self._log.parent.mkdir(parents=True, exist_ok=True)
        # The launcher must find this package, wherever the program is started.
        root = str(Path(__file__).resolve().parents[2])
        paths = [root, *filter(None, [self._env.get("PYTHONPATH")])]
        # -P: a folder called "pipeline" where the program is started must not come first.
        launcher = [sys.executable, "-P", "-m", "pipeline.embedded.launch", str(os.getpid())]
        launcher.append(str(int(self._death_signal)))
        if self._supervise:
            launcher.append("--supervise")
        self._words_start = self._words.stat().st_size if self._words.exists() else 0
        with open(self._log, "ab") as output:
            self._process = subprocess.Popen(
                [*launcher, "--", *self._command],
                stdin=subprocess.PIPE if self._supervise else subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self._env | {"PYTHONPATH": os.pathsep.join(paths)},
                start_new_session=True,
                pass_fds=self._held,
            )

    async def wait_ready(self, check: Callable[[], Awaitable[bool]], timeout: float) -> None:
        """Wait until `check` says yes. If the child ends, or after `timeout` seconds: `UserError`."""
        deadline = time.monotonic() + timeout
        try:
            while not await check():
                if self._process is None or self._process.poll() is not None:
                    code = self._process.returncode if self._process else None
                    raise self._failure(Sentence("ended at its start (exit code {code})", code=code))
                if time.monotonic() > deadline:
                    raise self._failure(Sentence("was not ready after {seconds} s", seconds=f"{timeout:g}"))
                await asyncio.sleep(_POLL_SECONDS)
        except BaseException:
            await self.stop(grace=1.0)
            raise

    async def stop(self, grace: float = 10.0) -> int | None:
        """End the child: SIGTERM, after `grace` seconds SIGKILL. Returns its exit code, if it ran."""
        process, self._process = self._process, None
        if process is None:
            return None
        try:
            process.terminate()
            if not await _ended(process, grace):
                _kill(process)
                await _ended(process, 10.0)
        except BaseException:
            _kill(process)
            process.wait()
            raise
        finally:
            if process.stdin:
                process.stdin.close()
        return process.returncode

    def kill(self) -> None:
        """Kill the child at once, as a crash would; it stays for `stop` to clean up."""
        if self._process is not None:
            _kill(self._process)

    def _failure(self, what: str) -> UserError:
        lines = [line.strip() for line in self._said().decode(errors="replace").split("\n") if line.strip()]
        if lines and lines[-1].startswith(_ERROR):
            # One of our own programs, which says what to do.
            return UserError(lines[-1].removeprefix(_ERROR))
        tail = " | ".join(lines[-_TAIL_LINES:])
        return UserError(
            "{name} {what}; see {log}: {tail}",
            name=self._name,
            what=what,
            log=self._words,
            tail=tail or Sentence("it wrote nothing"),
        )

    def _said(self) -> bytes:
        """The end of what it has said since its start."""
        try:
            with open(self._words, "rb") as file:
                end = file.seek(0, os.SEEK_END)
                file.seek(max(self._words_start if self._words_start <= end else 0, end - 4096))
                return file.read()
        except FileNotFoundError:
            return b""


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill the child's whole group: the launcher, if it supervises, and the program."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)


async def _ended(process: subprocess.Popen[bytes], timeout: float) -> bool:
    deadline = time.monotonic() + timeout
    while process.poll() is None:
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(_POLL_SECONDS)
    return True
