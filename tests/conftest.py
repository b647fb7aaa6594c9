"""For all tests: what is skipped where a tool is missing (see `needs`), and how many examples hypothesis tries."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import commands
import pytest
from hypothesis import HealthCheck, settings
from needs import (
    needs_chromium,
    needs_compiler,
    needs_compose,
    needs_curl,
    needs_embedded,
    needs_kafka,
    needs_loop,
    needs_mount,
    needs_prometheus,
    needs_rocksdb,
    needs_systemd,
    pytest_collection_modifyitems,
    pytest_configure,
    pytest_make_collect_report,
    pytest_runtest_makereport,
    pytest_runtest_setup,
    pytest_terminal_summary,
)

# What commands say is in English, whatever the machine's language is.
os.environ["LC_ALL"] = "C.UTF-8"

# How long an example takes says more of the machine than of the code. A law whose examples are slow takes a part of
# the number (`settings.default.max_examples // 4`): so `make test-laws` is a multiple for every law.
settings.register_profile("everyday", deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=100)
# Where the laws were tried already, on another Python.
settings.register_profile("few", settings.get_profile("everyday"), max_examples=20)
settings.register_profile("thorough", settings.get_profile("everyday"), max_examples=1_000)
settings.load_profile("everyday")

__all__ = [
    "needs_chromium",
    "needs_compiler",
    "needs_compose",
    "needs_curl",
    "needs_embedded",
    "needs_kafka",
    "needs_loop",
    "needs_mount",
    "needs_prometheus",
    "needs_rocksdb",
    "needs_systemd",
    "pytest_collection_modifyitems",
    "pytest_configure",
    "pytest_make_collect_report",
    "pytest_runtest_makereport",
    "pytest_runtest_setup",
    "pytest_terminal_summary",
]


def pytest_make_parametrize_id(val: object) -> str | None:
    """Names of tests with bytes: how many. Packed ones hold the time, and two processes would name them differently."""
    return f"{len(val)}B" if isinstance(val, bytes) and len(val) > 8 else None


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With `--dist loadfile` a file stays in one process; those of failures need not, which share their servers."""
    if config.getvalue("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return nodeid if nodeid.startswith("tests/faults/") else super()._split_scope(nodeid)

    return Scheduling(config, log)


@pytest.fixture(scope="session", autouse=True)
def end_of_commands() -> Iterator[None]:
    """What the tests' commands are forks of ends with the tests."""
    yield
    commands.end()
