from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_DRAW = "from kafka_harness.process import free_port; print(*(free_port() for _ in range(1000)), flush=True); input()"


def test_no_port_is_given_to_two_who_have_not_yet_listened_on_theirs() -> None:
    """Neither to two tests that run at once: each would talk to the other's servers."""
    drawers = [
        subprocess.Popen(
            [sys.executable, "-c", _DRAW],
            cwd=Path(__file__).resolve().parents[1],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    drawn: list[str] = []
    for drawer in drawers:
        assert drawer.stdout is not None
        drawn += drawer.stdout.readline().split()
    for drawer in drawers:
        drawer.communicate("\n", timeout=10)
    assert len(drawn) == len(set(drawn)) == 2000
