"""The tests that ask what day it is, on other days: `make test-dates`.

    python -m tests.days [NAME …] [-- ARGUMENTS OF PYTEST …]

Each day is a run of pytest under Debian's faketime, which shifts the clock of Python and of the embedded broker. What
can't be shifted is left out below. ClickHouse keeps the true clock and removes what was stored longer ago than the
retention: so the days lie ahead, and none of the past.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
#: All whose answers depend on a clock that they read, or a process of theirs. Not here: what is asked with times of its
#: own, or only notes when it stored something; the browser (chromium does not start under faketime), what starts
#: Prometheus (a Go program, which asks the kernel past faketime), and Apache Kafka (`faults`).
FILES = (
    "report", "dashboard/test_server.py", "dashboard/test_events.py", "dashboard/test_quality.py",
    "metrics/test_command.py", "metrics/test_live_agrees.py", "clickhouse/test_live_today.py",
    "archiver/test_stored.py", "serve/test_pages.py", "serve/test_odd_requests.py", "assistants/test_process.py",
    "demo/test_past.py", "simulate/test_command.py", "integration/test_demo.py", "integration/test_rejected.py",
    "integration/test_archiver_stop.py",
)  # fmt: skip
LEFT_OUT = "not faults and not hypothesis"
HIDDEN = ("needs_chromium", "needs_prometheus")
SHOP, CHANGING = "Asia/Shanghai", "Europe/Berlin"


def days() -> Iterator[tuple[str, str, str]]:
    """Name, zone and local time of each run."""
    monday = date(2027, 3, 1)
    for number in range(7):
        day = monday + timedelta(days=number)
        yield f"{day:%A}".lower(), SHOP, f"{day} 11:00:00"
    yield "before-midnight", SHOP, "2027-03-03 23:59:00"
    yield "after-midnight", SHOP, "2027-03-04 00:01:00"
    yield "last-of-month", SHOP, "2027-04-30 11:00:00"
    yield "first-of-month", SHOP, "2027-05-01 11:00:00"
    yield "last-of-year", SHOP, "2027-12-31 23:59:00"
    yield "first-of-year", SHOP, "2028-01-01 00:01:00"
    yield "leap-day", SHOP, "2028-02-29 11:00:00"
    yield "after-leap-day", SHOP, "2028-03-01 11:00:00"
    yield "clocks-forward", CHANGING, "2027-03-28 11:00:00"
    yield "after-clocks-forward", CHANGING, "2027-03-29 00:01:00"
    yield "clocks-back", CHANGING, "2027-10-31 11:00:00"
    yield "after-clocks-back", CHANGING, "2027-11-01 00:01:00"


def pytest_configure() -> None:
    """As a plugin of such a run: wait by other means than `nanosleep`.

    Under faketime with an unshifted monotonic clock it fails with EINVAL when the end has passed before it is reached.
    """
    time.sleep = lambda seconds: select.select((), (), (), max(0.0, seconds))[0] and None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what needs a program that keeps its own clock."""
    hidden = [item for item in items if set(HIDDEN) & set(getattr(item, "fixturenames", ()))]
    config.hook.pytest_deselected(items=hidden)
    items[:] = [item for item in items if item not in hidden]


def run(name: str, zone: str, local: str, plan: Path, more: list[str]) -> int:
    """The exit code of pytest on that day."""
    print(f"{name}: {local} {zone}", flush=True)
    env = {**os.environ, "TZ": zone, "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1"}
    # Its mend for an old glibc ends each wait of a thread at once: with two of them a process does little else.
    env["FAKETIME_FORCE_MONOTONIC_FIX"] = "0"
    if zone == CHANGING:
        env["STREAMGAUGE_TEST_PLAN"] = str(plan)
    named = any((ROOT / word.partition("::")[0]).exists() for word in more)
    files = more if named else [*(f"tests/{file}" for file in FILES), *more]
    command = ["faketime", local, sys.executable, "-m", "pytest", "-q", "-p", "tests.days", "-m", LEFT_OUT, *files]
    return subprocess.run(command, cwd=ROOT, env=env, check=False).returncode


def main() -> int:
    """Run the days named, or all; prints which failed."""
    words = sys.argv[1:]
    cut = words.index("--") if "--" in words else len(words)
    wanted, more = words[:cut], words[cut + 1 :]
    known = {name: (zone, local) for name, zone, local in days()}
    unknown = set(wanted) - set(known)
    if unknown:
        print(f"no such day: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
        return 2
    with tempfile.TemporaryDirectory() as folder:
        plan = Path(folder) / "shop.yaml"
        text = (ROOT / "schemas" / "plans" / "shop.yaml").read_text("utf-8")
        plan.write_text(text.replace(f"timezone: {SHOP}", f"timezone: {CHANGING}"), "utf-8")
        failed = [name for name in wanted or known if run(name, *known[name], plan, more)]
    print(f"failed on: {', '.join(failed)}" if failed else f"{len(wanted or known)} days, all as they should be")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
