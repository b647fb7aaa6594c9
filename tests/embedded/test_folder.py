"""One folder is one installation: a second is refused, what a killed one left is waited for, ports stay."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from embedded.waiting import wait_until
from pipeline.embedded.child import Child, free_port
from pipeline.embedded.folder import Ports, owned
from pipeline.errors import UserError

_OWNER = """
import asyncio, sys
from pathlib import Path
from pipeline.embedded.child import Child
from pipeline.embedded.folder import owned
async def main(folder):
    async with owned(folder, print) as held:
        child = Child("part", ["sh", "-c", sys.argv[2], sys.argv[1]], folder / "log", death_signal=15, held=[held])
        child.start()
        await asyncio.sleep(100)
asyncio.run(main(Path(sys.argv[1])))
"""


async def test_a_second_one_on_a_folder_is_refused_in_one_line_that_names_the_first(tmp_path: Path) -> None:
    async with owned(tmp_path, print):
        with pytest.raises(UserError) as caught:
            async with owned(tmp_path, print):
                pass
    assert str(caught.value) == (
        f"{tmp_path} is in use by another `streamgauge up` or `demo` (process {os.getpid()}): end that first, or use "
        f"another --data"
    )
    async with owned(tmp_path, print):
        pass


async def test_parts_of_one_that_was_killed_are_waited_for(tmp_path: Path) -> None:
    root = str(Path(__file__).resolve().parents[2])
    # A part that doesn't end although its parent is gone, until somebody has been told to wait for it.
    waits = 'trap : TERM; touch "$0/waits"; until [ -e "$0/told" ]; do sleep 0.05; done'
    owner = subprocess.Popen(
        [sys.executable, "-c", _OWNER, str(tmp_path), waits], env={**os.environ, "PYTHONPATH": root}
    )
    wait_until((tmp_path / "waits").exists)
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    said: list[str] = []

    def say(text: str) -> None:
        said.append(text)
        (tmp_path / "told").touch()

    async with owned(tmp_path, say):
        assert said == [f"Waiting for the parts of one that was killed, which still use {tmp_path} …"]


async def test_a_part_that_a_running_one_has_started_does_not_keep_the_folder_for_ever(tmp_path: Path) -> None:
    async with owned(tmp_path, print) as held:
        child = Child("part", ["sleep", "100"], tmp_path / "log", held=[held])
        child.start()
        await child.stop()
    said: list[str] = []
    async with owned(tmp_path, said.append):
        assert said == []


def test_ports_stay_over_restarts_and_one_that_was_taken_is_said(tmp_path: Path) -> None:
    file = tmp_path / "ports.json"
    port, _ = free_port()
    ports = Ports(file)
    assert ports.get("collect") is None
    ports.keep({"collect": port})
    ports.keep({"worker": 18_000})
    again = Ports(file)
    assert (again.get("collect"), again.get("worker"), again.get("Kafka")) == (port, 18_000, None)
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        again.check(["Kafka", "worker"])  # nobody of those is in the way
        again.check(["Kafka", "worker"])  # nobody is in the way of those
        with pytest.raises(UserError) as caught:
            again.check(["worker", "collect"])
    assert str(caught.value) == (
        f"port {port} of this installation (collect) is taken by another program: end that, or remove 'collect' from "
        f"{file} to have another one chosen"
    )


@pytest.mark.parametrize("text", ["", "[]", "null", '{"Kafka": "9092"}', '{"Kafka": 0}', '{"Kafka": 70000}',
                                  '{"Kafka": true}', "{", "\x00" * 40])  # fmt: skip
def test_a_file_of_ports_that_is_none_is_said(tmp_path: Path, text: str) -> None:
    file = tmp_path / "ports.json"
    file.write_text(text)
    with pytest.raises(UserError, match=r"ports\.json can't be read \(.*\): remove it, and ports are chosen anew"):
        Ports(file)


def test_a_port_that_is_chosen_is_none_that_connections_are_given() -> None:
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert all(free_port()[0] < first for _ in range(50))
