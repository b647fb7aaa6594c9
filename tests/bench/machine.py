"""The machine, and what a process has used of it (from /proc, so Linux)."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path


def describe() -> str:
    """Cores, CPU, Python and system in one line."""
    try:
        found = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    except OSError:
        found = None
    cpu = found[1] if found else platform.processor() or platform.machine()
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"{os.cpu_count()} cores, {cpu}, {python}, {platform.system()} {platform.release()}"


def cpu_seconds(pid: int) -> float:
    """CPU time of a process so far, all its threads, user and system."""
    # The name of the program, in parentheses, may hold spaces.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_memory(pid: int) -> int:
    """Largest resident memory of a process so far, in bytes."""
    return _status(pid, "VmHWM")


def memory_now(pid: int) -> int:
    """Resident memory of a process, in bytes."""
    return _status(pid, "VmRSS")


def _status(pid: int, name: str) -> int:
    found = re.search(rf"{name}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    if found is None:
        raise RuntimeError(f"process {pid} has no {name}: has it ended?")
    return int(found[1]) * 1024
