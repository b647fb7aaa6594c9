"""A process of a role."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from pipeline.demo.role import Role
from pipeline.embedded.child import Child


@pytest.mark.parametrize("supervise", [False, True])
async def test_an_answer_of_a_process_that_took_the_port_of_ours_is_not_its(tmp_path: Path, supervise: bool) -> None:
    """Two systems that start at once may choose the same port."""
    say_pid = "import os, signal; print(os.getpid(), flush=True); signal.pause()"
    child = Child("the worker", [sys.executable, "-c", say_pid], tmp_path / "log", supervise=supervise)
    role = Role("worker", "the worker", tmp_path)
    role.process = child
    assert not role.gave({"pid": os.getpid()})
    child.start()

    async def said() -> bool:
        return (tmp_path / "log").read_text().endswith("\n")

    await child.wait_ready(said, 20)
    try:
        assert role.gave({"pid": int((tmp_path / "log").read_text())})
        for pid in (os.getpid(), os.getppid(), 1, 0, -1, 2**31 - 1, 2**70, "1", None, True):
            assert not role.gave({"pid": pid}), pid
        assert not role.gave({})
    finally:
        await child.stop(1)
