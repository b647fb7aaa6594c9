"""docs/one-server.md, command by command, as a service that tells systemd how it stands.

There is no systemd here that would start it, so this is the little of it that the page needs: `systemctl start` runs
the command of the unit that the page has installed, with its variables, and returns when it has said READY=1. Paths of
the machine lie in a folder of the test; what would install packages or users is checked and not run.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "one-server.md").read_text("utf-8")
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
#: Paths of the page that are in the test's folder.
PATHS = ("/opt/streamgauge", "/etc/streamgauge", "/etc/systemd/system", "/etc/logrotate.d", "/var/lib/streamgauge",
         "/var/backups/streamgauge")  # fmt: skip
#: What is not run: it is the machine's.
NOT_RUN = ("apt-get install", "useradd", "python3 -m venv", "git pull")
# `sudo` is us already.
_BEFORE = """set -euo pipefail
sudo() { if [ "$1" = -u ]; then shift 2; fi; "$@"; }
install() { mkdir -p "${@: -1}"; chmod 700 "${@: -1}"; }
"""


class Machine:
    """A folder that stands for the machine, and the service in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for path in PATHS:
            if path.startswith(("/etc/sys", "/etc/log")):
                (folder / path[1:]).mkdir(parents=True)
        program = folder / "opt/streamgauge/bin/streamgauge"
        program.parent.mkdir(parents=True)
        # The program as it is here.
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -P -m pipeline.cli "$@"\n')
        program.chmod(0o755)
        (program.parent / "pip").write_text("#!/bin/sh\n")
        (program.parent / "pip").chmod(0o755)
        self.service: subprocess.Popen[bytes] | None = None
        self.said = folder / "journal"
        self._notified = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notified.bind(str(folder / "notify"))
        self._notified.settimeout(120)

    def here(self, text: str) -> str:
        for path in PATHS:
            text = re.sub(rf"(?<![\w/]){path}", str(self.folder) + path, text)
        return text

    def run(self, block: str) -> str:
        """The commands of a block, one after the other; what they have said."""
        said, waiting = "", list[str]()
        for line in block.replace("\\\n", " ").split("\n"):
            if line.startswith("sudo systemctl "):
                said += self._shell("\n".join(waiting))
                waiting = []
                self.systemctl(line.split()[2:])
            elif not any(word in line for word in NOT_RUN):
                waiting.append(line)
        return said + self._shell("\n".join(waiting))

    def _shell(self, commands: str) -> str:
        text = self.here(commands)
        for usual, port in self.ports().items():
            text = text.replace(f"127.0.0.1:{usual}", f"127.0.0.1:{port}")
        done = subprocess.run(
            ["bash", "-c", _BEFORE + text], cwd=ROOT, capture_output=True, text=True, timeout=240,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def ports(self) -> dict[int, int]:
        """Where a port that was taken is another one."""
        data = self.folder / "var/lib/streamgauge"
        if not (data / "addresses.json").exists():
            return {}
        found = {9111: json.loads((data / "addresses.json").read_text())["collect"]}
        found[8123] = tomllib.loads((data / "settings.toml").read_text())["clickhouse_url"]
        return {usual: int(url.rpartition(":")[2]) for usual, url in found.items()}

    def systemctl(self, words: list[str]) -> None:
        names = [word.removesuffix(".service") for word in words[1:] if not word.startswith("--")]
        if "streamgauge" in names and words[0] in ("stop", "restart"):
            self.stop()
        if "streamgauge" in names and (words[0] in ("start", "restart") or "--now" in words):
            self.start()
        if "streamgauge-backup" in names and words[0] == "start":
            done = subprocess.run(self.locked("streamgauge-backup"), capture_output=True, text=True, timeout=240,
                                  env={**os.environ, "PYTHONPATH": str(ROOT)})  # fmt: skip
            assert done.returncode == 0, done.stderr

    def command(self, unit: str) -> tuple[list[str], dict[str, str]]:
        """The command and the variables of an installed unit."""
        text = (self.folder / f"etc/systemd/system/{unit}.service").read_text()
        [command] = re.findall(r"^ExecStart=(.+)$", text, re.MULTILINE)
        variables = dict(line.split("=", 1) for line in re.findall(r"^Environment=(.+)$", text, re.MULTILINE))
        return self.here(command).split(), variables

    def locked(self, unit: str) -> list[str]:
        """The command of a unit, for which of the folder nothing can be written but what the unit says."""
        text = (self.folder / f"etc/systemd/system/{unit}.service").read_text()
        paths = " ".join(re.findall(r"^ReadWritePaths=(.+)$", text, re.MULTILINE)).split()
        paths += [f"/var/lib/{name}" for name in re.findall(r"^StateDirectory=(.+)$", text, re.MULTILINE)]
        bound = [f"mount --bind {at} {at} && mount -o remount,bind,rw {at}" for at in map(self.here, paths)]
        of_all = f"mount --bind {self.folder} {self.folder} && mount -o remount,bind,ro {self.folder}"
        unshare = ["unshare", "--mount", *(["--map-root-user"] if os.geteuid() else [])]
        return [*unshare, "sh", "-c", " && ".join([of_all, *bound, 'exec "$@"']), "sh", *self.command(unit)[0]]

    def start(self) -> None:
        command, variables = self.locked("streamgauge"), self.command("streamgauge")[1]
        (self.folder / "var/lib/streamgauge").mkdir(mode=0o700, parents=True, exist_ok=True)  # StateDirectory
        told = {"NOTIFY_SOCKET": str(self.folder / "notify"), "WATCHDOG_USEC": "90000000"}
        with open(self.said, "ab") as journal:
            self.service = subprocess.Popen(
                command, stdout=journal, stderr=journal, start_new_session=True,
                env={**os.environ, "PYTHONPATH": str(ROOT), **variables, **told},
            )  # fmt: skip
        self._notified.settimeout(120)
        assert self._notified.recv(1000).split(b"\n")[0] == b"READY=1"
        # Said when it is, and not before: the parts say so themselves.
        addresses = json.loads((self.folder / "var/lib/streamgauge/addresses.json").read_text())
        for role in ("worker", "archiver", "collect"):
            page = subprocess.run(["curl", "-sS", f"{addresses[role]}/health"], capture_output=True, text=True)
            assert json.loads(page.stdout)["ready"] is True, page
        assert self._notified.recv(1000) == b"WATCHDOG=1"

    def stop(self) -> None:
        assert self.service is not None
        self.service.send_signal(signal.SIGTERM)
        while self._notified.recv(1000) != b"STOPPING=1":
            pass
        assert self.service.wait(90) == 0
        self.service = None

    def close(self) -> None:
        if self.service is not None:
            self.service.terminate()
            try:
                self.service.wait(60)
            finally:
                self.service.kill()
        self._notified.close()


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    found = Machine(tmp_path)
    yield found
    found.close()


@pytest.mark.faults
@pytest.mark.usefixtures("needs_kafka", "needs_embedded", "needs_curl")
def test_the_page_from_nothing_to_a_service_that_is_backed_up(machine: Machine) -> None:
    blocks = BLOCK.findall(PAGE)
    assert len(blocks) == 11
    packages, environment, plan, start, doctor, send, sources, back_up, drill, lost, upgrade = blocks
    assert "maven" in packages
    machine.run(environment)
    machine.run(plan)
    machine.run(start)
    assert machine.service is not None
    said = machine.run(doctor)
    assert said.splitlines()[-1].startswith("0 errors, 0 warnings, "), said
    _until_stored(machine, send)
    assert "web" in machine.run(sources)
    machine.run(back_up)
    assert "restored:" in machine.run(drill)
    first = machine.service
    said = machine.run(lost)
    assert first.poll() == 0
    assert machine.service not in (None, first)
    # The event is there again, once; and who may send is who it was.
    query = machine.run("sudo curl" + send.split("sudo curl")[2])
    assert query.startswith("order\tu1\t"), query
    assert query.count("\n") == 1
    # Of a new version there is nothing that was not run above, but the restart.
    run = {line for block in blocks[:-1] for line in block.splitlines()} | {"sudo git pull -q"}
    assert set(upgrade.splitlines()) - run == {"sudo systemctl restart streamgauge"}
    machine.stop()

    # Its log: one object a line, and nothing in it that opens a door.
    lines = [json.loads(line) for line in machine.said.read_text().splitlines()]
    assert {"time", "level", "logger", "message"} <= lines[0].keys()
    assert any(line["message"].startswith("ready: dashboard at http://127.0.0.1:") for line in lines)
    data = machine.folder / "var/lib/streamgauge"
    secrets = [line.split(":")[1] for line in (data / "clickhouse.users").read_text().split()]
    secrets.append((data / "collect.key").read_text().strip())
    for file in (machine.said, *data.glob("*.log")):
        assert [secret for secret in secrets if secret in file.read_text(errors="replace")] == [], file
    json.loads((data / "worker.log").read_text().splitlines()[-1])


def _until_stored(machine: Machine, send: str) -> None:
    """Send, and ask until it is there: the page's reader is slower than a program."""
    first, second = (f"sudo curl{part}" for part in send.split("sudo curl")[1:])
    assert json.loads(machine.run(first))["accepted"] == 1
    for _ in range(100):
        if (found := machine.run(second)).startswith("order\tu1\t"):
            return
    raise AssertionError(f"not stored: {found!r}")


def test_the_chinese_page_shows_the_same_commands() -> None:
    chinese = (ROOT / "docs" / "zh" / "one-server.md").read_text("utf-8")
    assert BLOCK.findall(chinese) == BLOCK.findall(PAGE)


def test_what_the_page_installs_is_what_there_is() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    [*found] = re.findall(r"'\.\[([\w,]+)\]'", PAGE)
    assert found
    assert {name for names in found for name in names.split(",")} <= extras.keys()
    tools = (ROOT / ".ci" / "tools.txt").read_text("utf-8")
    assert {"openjdk-17-jre-headless", "maven", "curl"} <= set(tools.split())
