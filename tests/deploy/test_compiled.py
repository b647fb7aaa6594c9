"""Compiled code comes in a wheel alone: beside sources that are edited it would go on running the old ones."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("words", [("editable_wheel",), ("build_ext", "--inplace")], ids=" ".join)
def test_none_is_made_beside_the_sources(words: tuple[str, ...]) -> None:
    done = subprocess.run(
        [sys.executable, "setup.py", *words], cwd=ROOT, env=os.environ | {"STREAMGAUGE_COMPILED": "1"},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr.splitlines()[-1]) == (
        1,
        "compiled code beside sources that are edited would go on running the old ones: `make compiled` makes a wheel",
    )
    assert list((ROOT / "pipeline").rglob("*.so")) == []
