"""An optional build step: the funnels' code compiled by mypyc, in a wheel. The package itself is in pyproject.toml.

`make compiled` sets STREAMGAUGE_COMPILED=1. Without it this file does nothing and needs no compiler. Why it is so, and
why these modules: docs/decisions/0022-compiled-funnels.md.
"""

import os
import sys
from pathlib import Path

from setuptools import setup


def compiled() -> list:
    """The extension modules, where they are asked for."""
    if os.environ.get("STREAMGAUGE_COMPILED") != "1":
        return []
    if {"editable_wheel", "--inplace"} & set(sys.argv):
        why = "compiled code beside sources that are edited would go on running the old ones"
        sys.exit(f"{why}: `make compiled` makes a wheel")
    if "bdist_wheel" not in sys.argv:
        return []  # pip asks what the package is
    from mypyc.build import mypycify

    # Its own cache: mypy's options are others here than in `make lint`.
    files = [str(path) for path in sorted(Path("pipeline/measure").glob("funnel*.py"))]
    return mypycify(["--cache-dir=build/mypy", *files], group_name="streamgauge", target_dir="build/c")


setup(ext_modules=compiled())
