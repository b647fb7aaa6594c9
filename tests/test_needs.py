"""What can't be run is skipped, counted and named; in CI it fails."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from whole_system import ROOT

TESTS = ROOT / "tests"
SUITE = """
import pytest

@pytest.mark.usefixtures("needs_chromium")
def test_page(): raise AssertionError("it ran")

@pytest.fixture
def browser(needs_chromium): raise AssertionError("it was set up")

def test_another_page(browser): pass

def test_kafka(needs_kafka): pass

@pytest.mark.skip(reason="not today")
def test_for_another_reason(): pass

@pytest.mark.xfail
def test_a_known_fault(): raise AssertionError

def test_that_needs_nothing(): pass
"""

#: With the Java of an extra it is Kafka itself that is missing.
NO_KAFKA = "(no java: install a Java 17 runtime.*|no Kafka in .*: install Maven, or unpack Kafka .*)"


def run(folder: Path, *arguments: str, ci: str = "") -> list[str]:
    """The lines of a run of the suite on a machine without any program."""
    (folder / "conftest.py").write_text((TESTS / "conftest.py").read_text("utf-8"), "utf-8")
    (folder / "test_it.py").write_text(SUITE, "utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments, "."],
        cwd=folder,
        env={"PATH": "", "HOME": str(folder), "CI": ci, "PYTHONPATH": str(TESTS)},
        capture_output=True,
        text=True,
    )
    return re.sub(r" in [\d.]+s\n$", "", done.stdout).splitlines()


def test_what_can_not_be_run_is_counted_and_named_at_the_end(tmp_path: Path) -> None:
    browser, kafka, last = run(tmp_path)[-3:]
    assert browser == "not run: 2 browser tests, no chromium"
    assert re.fullmatch(rf"not run: 1 test on Apache Kafka, {NO_KAFKA}", kafka)
    assert last == "1 passed, 4 skipped, 1 xfailed"


def test_in_ci_nothing_is_skipped(tmp_path: Path) -> None:
    said = run(tmp_path, ci="true")
    assert said[-1] == "1 passed, 1 xfailed, 4 errors"
    for reason in ("no chromium", NO_KAFKA, "not today"):
        words = rf"{reason} \(where CI is set nothing may be skipped\)"
        assert any(re.search(f"{words}$", line) for line in said)


def test_what_needs_nothing_can_be_chosen(tmp_path: Path) -> None:
    assert run(tmp_path, "-m", "not needs")[-1] == "1 passed, 1 skipped, 3 deselected, 1 xfailed"


def test_packages_are_named_for_every_program() -> None:
    listed = (ROOT / ".ci" / "tools.txt").read_text("utf-8").split()
    assert {"java", "mvn", "chromium", "chromedriver", "promtool", "amtool", "docker-compose", "curl"} < set(listed)


class Machine:
    """What `.ci/tools` finds: a PATH with these programs, and packages that dpkg calls installed."""

    def __init__(self, folder: Path, *programs: str, user: int = 0, installed: bool = False) -> None:
        self.path, self.log = folder / "bin", folder / "apt.log"
        self.path.mkdir()
        for name in ("bash", "dirname", "env", "grep", "mktemp", "rm", "tail", "true"):
            (self.path / name).symlink_to(shutil.which(name) or name)
        scripts = {
            "id": f"echo {user}",
            "sudo": "exit 1",
            "dpkg-query": "echo installed" if installed else "exit 1",
            "apt-get": f'echo "$*" >> {self.log}; echo E: no network >&2; exit 100',
            **dict.fromkeys(programs, "true"),
        }
        for name, script in scripts.items():
            (self.path / name).write_text(f"#!{shutil.which('bash')}\n{script}\n")
            (self.path / name).chmod(0o755)

    def tools(self, *arguments: str) -> tuple[int, list[str]]:
        """The exit code of `.ci/tools` and what it said."""
        done = subprocess.run(
            [str(ROOT / ".ci" / "tools"), *arguments], env={"PATH": str(self.path)}, capture_output=True, text=True
        )
        return done.returncode, (done.stdout + done.stderr).splitlines()

    def asked(self) -> list[str]:
        """The packages that apt-get was asked to install."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [line.split("--no-install-recommends ")[1] for line in lines if "--no-install-recommends" in line]


PROGRAMS = (
    "java", "mvn", "chromium", "chromedriver", "promtool", "amtool", "docker-compose", "systemd-analyze", "faketime",
)  # fmt: skip


def test_what_is_missing_is_installed_and_a_failure_ends_only_the_strict_way(tmp_path: Path) -> None:
    machine = Machine(tmp_path, *PROGRAMS)
    code, said = machine.tools("--try")
    assert (code, said[0].startswith("Installing for the tests: "), "curl" in said[0]) == (0, True, True)
    assert said[1] == "apt-get failed: E: no network"
    assert said[2].endswith("(make tools). Tests that need them are not run.")
    assert machine.tools()[0] == 1
    without, strict = (packages.split() for packages in machine.asked())
    assert (without[-1], strict[-3:]) == ("curl", ["curl", "nodejs", "npm"])  # Node is for the SDKs of others alone


@pytest.mark.parametrize(("user", "installed"), [(1000, False), (0, True)], ids=["may not", "hidden from the PATH"])
def test_where_installing_may_not_or_can_not_help_a_line_says_so(tmp_path: Path, user: int, installed: bool) -> None:
    machine = Machine(tmp_path, *PROGRAMS, user=user, installed=installed)
    code, said = machine.tools("--try")
    assert (code, len(said)) == (0, 1)
    assert said[0].startswith("Not on this machine: ")
    assert machine.asked() == []
    assert machine.tools()[0] == 1
