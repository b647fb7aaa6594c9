"""Which code runs can be seen: `make test-compiled` sets what the build sets, and must not test the sources unseen."""

from __future__ import annotations

import os

from typer.testing import CliRunner

from pipeline import __version__
from pipeline.cli.main import app


def test_it_says_which_code_runs() -> None:
    runs = "compiled" if os.environ.get("STREAMGAUGE_COMPILED") == "1" else "Python"
    assert CliRunner().invoke(app, ["--version"]).output == f"streamgauge {__version__} ({runs})\n"
