"""A port that is chosen belongs to who chose it, though it takes seconds until anybody listens there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from pipeline.embedded.child import free_port

ROOT = Path(__file__).resolve().parents[2]


def another(code: str) -> subprocess.Popen[str]:
    """A process that chooses ports and keeps them until it is told to end."""
    code = f"from pipeline.embedded.child import free_port; print({code}, flush=True); input()"
    return subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_no_port_is_given_to_two_who_have_not_yet_listened_on_theirs() -> None:
    """Two installations, or two tests, that start at once: each would talk to the other's servers."""
    with (
        another("*(free_port()[0] for _ in range(300))") as one,
        another("*(free_port()[0] for _ in range(300))") as two,
    ):
        drawn = said(one).split() + said(two).split()
        one.communicate("\n", timeout=10)
        two.communicate("\n", timeout=10)
    assert len(drawn) == len(set(drawn)) == 600


def test_neither_the_usual_one_until_its_process_ends() -> None:
    with another("free_port()[0]") as drawer:
        port = int(said(drawer))
        other, taken = free_port(port)
        assert (taken, other != port) == (True, True)
        drawer.communicate("\n", timeout=10)
    assert free_port(port) == (port, False)


def test_who_has_it_already_is_given_it_again() -> None:
    port, _ = free_port()
    assert free_port(port) == (port, False)
    assert free_port(None, port) == (port, False)


def test_none_is_given_twice_by_chance() -> None:
    drawn = [free_port()[0] for _ in range(100)]
    assert len(set(drawn)) == 100
