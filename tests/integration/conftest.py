from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from whole_system import Start

from pipeline.demo.system import System
from pipeline.settings import Settings


@pytest.fixture
async def start(needs_embedded: None, tmp_path: Path) -> AsyncIterator[Start]:
    """Start a system with these settings; it ends with the test."""
    systems: list[System] = []

    async def begin(**changes: Any) -> System:
        system = System(Settings(**changes), tmp_path)
        await system.__aenter__()
        systems.append(system)
        await system.wait_ready()
        return system

    yield begin
    for system in systems:
        await system.__aexit__()
