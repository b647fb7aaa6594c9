from __future__ import annotations

import os
import shutil

import pytest

PROGRAMS = ("prometheus", "promtool", "prometheus-alertmanager", "amtool")


@pytest.fixture(scope="session")
def prometheus_tools() -> None:
    """Skips where Prometheus or Alertmanager is missing; fails there if CI is set."""
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        reason = f"needs {', '.join(missing)}: apt-get install prometheus prometheus-alertmanager"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
