"""Child processes: started, waited for, stopped, and gone when their parent is."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from embedded.waiting import runs, wait_until
from pipeline.embedded.child import Child, free_port
from pipeline.errors import UserError

pytestmark = pytest.mark.integration


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


async def says_up(log: Path) -> bool:
    return log.exists() and "up" in log.read_text()


def test_a_preferred_port_is_taken_if_free_and_replaced_if_not() -> None:
    port, taken = free_port()
    assert not taken
    assert free_port(port) == (port, False)
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", port))
        holder.listen()
        other, taken = free_port(port)
    assert taken
    assert other != port


async def test_a_child_that_fails_at_its_start_says_why_in_one_line(tmp_path: Path) -> None:
    child = Child(
        "the thing", python("print('line 1', flush=True); raise SystemExit('no such colour')"), tmp_path / "log"
    )
    child.start()
    with pytest.raises(UserError) as caught:
        await child.wait_ready(lambda: says_up(tmp_path / "none"), timeout=20)
    assert str(caught.value) == (
        f"the thing ended at its start (exit code 1); see {tmp_path / 'log'}: line 1 | no such colour"
    )


async def test_a_message_shows_only_what_this_start_wrote(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("an old error\n")
    child = Child("the thing", python("raise SystemExit(3)"), tmp_path / "log")
    child.start()
    with pytest.raises(UserError, match=r"exit code 3\); see .*: it wrote nothing$"):
        await child.wait_ready(lambda: says_up(tmp_path / "none"), timeout=20)


async def test_a_child_that_never_gets_ready_is_stopped(tmp_path: Path) -> None:
    child = Child("the thing", python("import time; time.sleep(100)"), tmp_path / "log")
    child.start()
    pid = child.pid
    with pytest.raises(UserError, match=r"was not ready after 0\.2 s"):
        await child.wait_ready(lambda: says_up(tmp_path / "none"), timeout=0.2)
    assert pid is not None
    assert not runs(pid)


@pytest.mark.parametrize("supervise", [False, True])
async def test_a_child_is_asked_to_end_first(tmp_path: Path, supervise: bool) -> None:
    code = "import signal, sys, time; signal.signal(15, lambda *_: sys.exit(7))"
    code += "; print('up', flush=True); time.sleep(100)"
    child = Child("the thing", python(code), tmp_path / "log", supervise=supervise)
    child.start()
    await child.wait_ready(lambda: says_up(tmp_path / "log"), timeout=20)
    assert await child.stop() == 7
    assert await child.stop() is None


@pytest.mark.parametrize("supervise", [False, True])
async def test_a_child_that_will_not_end_is_killed(tmp_path: Path, supervise: bool) -> None:
    code = "import os, signal, time; signal.signal(15, signal.SIG_IGN)"
    code += "; print('up', os.getpid(), flush=True); time.sleep(100)"
    child = Child("the thing", python(code), tmp_path / "log", supervise=supervise)
    child.start()
    await child.wait_ready(lambda: says_up(tmp_path / "log"), timeout=20)
    program = int((tmp_path / "log").read_text().split()[1])
    assert await child.stop(grace=0.2) == -signal.SIGKILL
    wait_until(lambda: not runs(program))


async def test_ctrl_c_in_the_terminal_does_not_reach_the_child(tmp_path: Path) -> None:
    child = Child("the thing", python("import time; print('up', flush=True); time.sleep(100)"), tmp_path / "log")
    child.start()
    await child.wait_ready(lambda: says_up(tmp_path / "log"), timeout=20)
    assert child.pid is not None
    try:
        assert os.getpgid(child.pid) != os.getpgid(0)
    finally:
        await child.stop()


@pytest.mark.parametrize("supervise", [False, True])
def test_a_child_ends_with_a_parent_that_is_killed(tmp_path: Path, supervise: bool) -> None:
    parent_code = f"""
import sys, time
from pathlib import Path
from pipeline.embedded.child import Child
program = [sys.executable, "-c", "import os, time; print('up', os.getpid(), flush=True); time.sleep(100)"]
Child("the thing", program, Path({str(tmp_path / "log")!r}), supervise={supervise}).start()
time.sleep(100)
"""
    root = Path(__file__).resolve().parents[2]
    parent = subprocess.Popen(python(parent_code), cwd=root, env=os.environ | {"PYTHONPATH": str(root)})
    try:
        log = tmp_path / "log"
        wait_until(lambda: log.exists() and "\n" in log.read_text())
        child = int(log.read_text().split()[1])
        assert runs(child)
    finally:
        parent.kill()
        parent.wait()
    wait_until(lambda: not runs(child))
