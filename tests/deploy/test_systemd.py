"""The units of deploy/systemd: what systemd says of them, and whether they say what the program does."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from pipeline.cli.main import app
from pipeline.settings import PREFIX, Settings

UNITS = Path(__file__).parents[2] / "deploy" / "systemd"
SERVICES = ["streamgauge.service", "streamgauge-backup.service"]


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """The units, with a program that is there."""
    program = str(Path(sys.executable).with_name("streamgauge"))
    for path in UNITS.iterdir():
        text = path.read_text("utf-8").replace("/opt/streamgauge/bin/streamgauge", program)
        (tmp_path / path.name).write_text(text, "utf-8")
    return tmp_path


def test_systemd_finds_nothing_wrong(needs_systemd: None, units: Path) -> None:
    files = [str(path) for path in sorted(units.iterdir()) if path.suffix in (".service", ".timer")]
    assert len(files) == 3
    done = subprocess.run(["systemd-analyze", "verify", *files], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", SERVICES)
def test_systemd_finds_little_exposed(needs_systemd: None, units: Path, name: str) -> None:
    """1.5 of 10 as it is: what is left is the network, the system's files, and that Java and ClickHouse compile."""
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=18", str(units / name)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout[-300:]


@pytest.mark.parametrize("name", SERVICES)
def test_the_command_of_a_unit_is_one_of_ours(name: str) -> None:
    text = (UNITS / name).read_text("utf-8")
    [line] = re.findall(r"^ExecStart=\S+/streamgauge (.+)$", text, re.MULTILINE)
    first, *rest = line.split()
    group = get_command(app)
    assert hasattr(group, "commands")
    known = {option for parameter in group.commands[first].params for option in parameter.opts}
    assert {word for word in rest if word.startswith("--")} <= known
    for variable in re.findall(rf"^Environment=({PREFIX}\w+)=", text, re.MULTILINE):
        assert variable.removeprefix(PREFIX).lower() in Settings.model_fields
