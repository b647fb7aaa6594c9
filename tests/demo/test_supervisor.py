"""Parts that end are started again with growing pauses, and given up after some tries. With real processes."""

from __future__ import annotations

import asyncio
import re
import signal
import sys
import time
from pathlib import Path

import pytest

from pipeline.demo.supervisor import Part, Patience, Supervisor
from pipeline.embedded.child import Child
from pipeline.errors import DependencyError, UserError

QUICK = Patience(tries=3, first_pause=0.05, longest_pause=0.2, well_after=30.0, look_every=0.02)


class Program:
    """A program that sleeps; `start` fails as often as it is told to."""

    def __init__(self, folder: Path, name: str, fails: int = 0) -> None:
        self._folder, self.name, self.fails = folder, name, fails
        self.child: Child | None = None
        self.starts: list[float] = []

    async def start(self) -> None:
        self.starts.append(time.monotonic())
        if self.fails:
            self.fails -= 1
            raise UserError("it has no wish to")
        self.child = Child(self.name, [sys.executable, "-c", "import time; time.sleep(100)"], self._folder / "log")
        self.child.start()

    @property
    def running(self) -> bool:
        return self.child is not None and self.child.running

    def part(self, needs: Part | None = None) -> Part:
        def ended() -> str:
            return self.child.ended if self.child else "stopped"

        return Part(self.name, self.start, lambda: self.running, ended, lambda: "here", needs)

    def kill(self) -> None:
        assert self.child is not None
        self.child.kill()


async def until(check: object, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not check():  # type: ignore[operator]
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


async def test_a_part_that_is_killed_comes_back_and_both_is_said(tmp_path: Path) -> None:
    program, said = Program(tmp_path, "the thing"), list[str]()
    await program.start()
    part = program.part()
    supervisor = Supervisor([part], said.append, QUICK)
    task = asyncio.create_task(supervisor.run())
    try:
        assert supervisor.away == []
        program.kill()
        await until(lambda: supervisor.away == ["the thing"])
        await until(lambda: len(said) == 2)
        assert said == [
            f"the thing ended after 0 s (killed by signal {int(signal.SIGKILL)}): starting it again",
            "the thing is back at here, after 0 s",
        ]
        assert program.running
        assert supervisor.away == []
    finally:
        task.cancel()
        if program.child:
            await program.child.stop()


async def test_a_part_that_can_not_live_ends_it_with_the_tries_and_the_reason(tmp_path: Path) -> None:
    program, said = Program(tmp_path, "the thing", fails=99), list[str]()
    with pytest.raises(DependencyError) as caught:
        await Supervisor([program.part()], said.append, QUICK).run()
    words = r"the thing can't be kept running, 3 tries in \d+ s failed: it has no wish to"
    assert re.fullmatch(words, str(caught.value))
    assert said == [
        "the thing ended after 0 s (stopped): starting it again",
        *[f"the thing could not be started (try {n} of 3): it has no wish to" for n in (1, 2, 3)],
    ]
    pauses = [after - before for before, after in zip(program.starts, program.starts[1:], strict=False)]
    assert 0.1 <= pauses[0] < pauses[1]


async def test_a_mistake_of_ours_is_not_tried_again(tmp_path: Path) -> None:
    async def start() -> None:
        raise ZeroDivisionError

    part = Part("the thing", start, lambda: False, lambda: "stopped", lambda: "here")
    with pytest.raises(ZeroDivisionError):
        await Supervisor([part], lambda _: None, QUICK).run()


async def test_what_needs_a_part_waits_for_it_and_its_own_tries_do_not_count(tmp_path: Path) -> None:
    """A broker that comes back at its third try, and a role that died with it."""
    broker, role = Program(tmp_path, "the broker", fails=0), Program(tmp_path, "the role")
    said: list[str] = []
    await broker.start()
    await role.start()
    below = broker.part()
    supervisor = Supervisor([below, role.part(needs=below)], said.append, QUICK)
    task = asyncio.create_task(supervisor.run())
    try:
        broker.fails = 2
        broker.kill()
        role.kill()
        await until(
            lambda: "the role is back at here, after 0 s" in said or "the role is back at here, after 1 s" in said
        )
        assert role.starts[-1] > broker.starts[-1]
        assert len(role.starts) == 2
        assert not task.done()
    finally:
        task.cancel()
        for program in (broker, role):
            if program.child:
                await program.child.stop()


def test_pauses_grow_to_a_bound() -> None:
    assert [Patience().pause(n) for n in (1, 2, 3, 6, 7, 1000)] == [1.0, 2.0, 4.0, 30.0, 30.0, 30.0]
