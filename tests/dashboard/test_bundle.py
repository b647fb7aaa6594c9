"""The library of the charts, as the dashboard makes it for the browser."""

from __future__ import annotations

import asyncio
import gzip
import sys
from pathlib import Path

import pytest

from pipeline.dashboard.bundle import Bundle


async def test_it_is_made_once_for_all_who_ask() -> None:
    bundle = Bundle()
    made = await asyncio.gather(bundle.script(), bundle.script())
    assert made[0] is made[1]
    script = gzip.decompress(made[0])
    assert b"window.vegaEmbed" in script
    assert len(made[0]) < 320_000
    await bundle.stop()


async def test_where_it_cant_be_made_it_says_why_and_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tries = tmp_path / "tries"
    program = tmp_path / "python"
    program.write_text(f"#!/bin/sh\necho x >> {tries}\necho 'no vl_convert here' >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    bundle = Bundle()
    for _ in range(2):
        with pytest.raises(OSError, match=r"the library of the charts can't be made: no vl_convert here"):
            await bundle.script()
    assert tries.read_text() == "x\nx\n"
    await bundle.stop()


async def test_a_dashboard_that_stops_does_not_wait_for_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\nexec tail -f /dev/null\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    bundle = Bundle()
    bundle.begin()
    await asyncio.sleep(0)
    await asyncio.wait_for(bundle.stop(), 10)
