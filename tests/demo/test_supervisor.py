"""Parts that end are started again with growing pauses, and given up after some tries. With real processes."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.demo.supervisor import Part, Patience, Supervisor
from pipeline.embedded.child import Child, free_port
from pipeline.errors import DependencyError, UserError
from pipeline.render.language import Language
from schemas.translatable import Sentence

pytestmark = pytest.mark.integration

QUICK = Patience(tries=3, first_pause=0.05, longest_pause=0.2, well_after=30.0, look_every=0.02)
#: So impatient that a busy machine may be taken for a frozen part: only where parts are frozen, or never are.
ASKING = replace(QUICK, ask_every=0.1, answer_within=0.5, questions=3)
#: Answers whoever connects, as soon as it is not frozen.
_ANSWERS = """
import socket, sys
with socket.create_server(("127.0.0.1", int(sys.argv[1]))) as server:
    while True:
        connection, _ = server.accept()
        connection.sendall(b"well")
        connection.close()
"""


class Program:
    """A program that answers; `start` fails as often as it is told to."""

    def __init__(self, folder: Path, name: str, fails: int = 0, why: str = "it has no wish to") -> None:
        self._folder, self.name, self.fails, self.why = folder, name, fails, why
        self.child: Child | None = None
        self.port, _ = free_port()
        #: How often it has answered.
        self.answered = 0
        self.starts: list[float] = []

    async def start(self) -> None:
        self.starts.append(time.monotonic())
        if self.fails:
            self.fails -= 1
            raise UserError(self.why)
        self.child = Child(self.name, [sys.executable, "-c", _ANSWERS, str(self.port)], self._folder / "log")
        self.child.start()
        await self.child.wait_ready(self.answers, 20.0)

    async def answers(self) -> bool:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            try:
                found = await reader.read() == b"well"
            finally:
                writer.close()
        except OSError:
            return False
        self.answered += found
        return found

    @property
    def running(self) -> bool:
        return self.child is not None and self.child.running

    def part(self, needs: Part | None = None) -> Part:
        def ended() -> str:
            return self.child.ended if self.child else Sentence("stopped")

        return Part(self.name, self.start, lambda: self.running, ended, lambda: "here", self.answers, self.kill, needs)

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
        assert re.fullmatch(r"the thing ended after \d+ s \(killed by signal 9\): starting it again", said[0])
        assert re.fullmatch(r"the thing is back at here, after \d+ s", said[1])
        assert program.running
        assert supervisor.away == []
    finally:
        task.cancel()
        if program.child:
            await program.child.stop()


async def test_a_part_that_is_blocked_waits_as_long_as_it_takes_and_that_is_no_try(tmp_path: Path) -> None:
    program, said, why = Program(tmp_path, "the thing"), list[str](), ["the disk has 0 MiB left"]
    part = program.part()
    part.blocked = lambda: why[0] if why else None
    task = asyncio.create_task(Supervisor([part], said.append, QUICK).run())
    try:
        await until(lambda: len(said) == 2)
        await asyncio.sleep(10 * QUICK.longest_pause)  # longer than all its tries
        assert said == [
            "the thing ended after 0 s (stopped): starting it again", "the thing waits: the disk has 0 MiB left",
        ]  # fmt: skip
        assert program.starts == []
        why.clear()
        await until(lambda: len(said) == 3)
        assert program.running
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


async def test_what_happens_to_a_part_can_be_said_in_chinese(tmp_path: Path) -> None:
    """What `up` is told are sentences, with the name of the part and the reason apart."""
    t, told = Language("zh"), list[str]()
    program = Program(tmp_path, Sentence("the worker"), fails=1, why="no java")
    task = asyncio.create_task(Supervisor([program.part()], lambda said: told.append(t.said(said)), QUICK).run())
    try:
        await until(lambda: len(told) == 3)
        assert told == [
            "worker 进程运行 0 秒后退出（已停止）：正在重新启动",
            "worker 进程启动失败（第 1 次，共 3 次）：没有 Java",
            f"worker 进程已恢复，地址 here，中断 {told[2].split()[-2]} 秒",
        ]
        program.kill()
        await until(lambda: len(told) == 4)
        assert re.fullmatch("worker 进程运行 \\d+ 秒后退出（被信号 9 终止）：正在重新启动", told[3])
    finally:
        task.cancel()
        if program.child:
            await program.child.stop()


async def test_a_part_that_is_frozen_is_ended_and_comes_back(tmp_path: Path) -> None:
    program, said = Program(tmp_path, "the thing"), list[str]()
    await program.start()
    supervisor = Supervisor([program.part()], said.append, ASKING)
    task = asyncio.create_task(supervisor.run())
    try:
        for n in (1, 2):
            answered = program.answered
            await until(lambda before=answered: program.answered > before + 1)
            assert program.child is not None
            assert program.child.pid is not None
            os.kill(program.child.pid, signal.SIGSTOP)
            await until(lambda n=n: len(said) == 2 * n)
            told, back = said[-2:]
            words = (
                r"the thing ended after \d+ s \(it gave no answer for \d+ s, to 3 questions, and was killed\): starting"
            )
            assert re.match(words, told)
            assert back.startswith("the thing is back at here, after ")
        assert program.running
        assert supervisor.away == []
        pauses = [after - before for before, after in zip(program.starts, program.starts[1:], strict=False)]
        assert pauses[0] >= 1.5  # three questions of half a second each
    finally:
        task.cancel()
        if program.child:
            await program.child.stop()


async def test_a_part_that_freezes_again_and_again_is_given_up(tmp_path: Path) -> None:
    program, said = Program(tmp_path, "the thing"), list[str]()
    await program.start()
    part = replace(program.part(), answers=never)
    try:
        with pytest.raises(
            DependencyError, match=r"the thing can't be kept running, 3 tries in \d+ s failed: it gave no"
        ):
            await Supervisor([part], said.append, ASKING).run()
        assert len(program.starts) == 4
    finally:
        if program.child:
            await program.child.stop()


async def test_a_part_that_is_slow_now_and_then_is_left_alone(tmp_path: Path) -> None:
    """Two questions of three that have no answer, again and again."""
    program, said, asked = Program(tmp_path, "the thing"), list[str](), list[bool]()
    await program.start()

    async def slowly() -> bool:
        asked.append(len(asked) % 3 == 2)
        return asked[-1]

    task = asyncio.create_task(Supervisor([replace(program.part(), answers=slowly)], said.append, ASKING).run())
    try:
        await until(lambda: len(asked) == 12)
        assert said == []
        assert len(program.starts) == 1
    finally:
        task.cancel()
        if program.child:
            await program.child.stop()


async def never() -> bool:
    return False


async def test_a_mistake_of_ours_is_not_tried_again(tmp_path: Path) -> None:
    async def start() -> None:
        raise ZeroDivisionError

    part = Part("the thing", start, lambda: False, lambda: "stopped", lambda: "here", never, lambda: None)
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
        await until(lambda: any(line.startswith("the role is back at here, after ") for line in said))
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
