"""A short chaos run: everything at once, and every figure right. `make chaos` makes longer ones."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from chaos.run import run

pytestmark = pytest.mark.faults


async def test_every_figure_is_right_after_chaos(tmp_path: Path, needs_kafka: None) -> None:
    seed = random.randrange(1_000_000)
    lines: list[str] = []
    report = await run(seed, tmp_path, seconds=120, rate=250, gap=7, tell=lines.append)
    again = f"again: make chaos SEED={seed} ARGS='--seconds 120 --rate 250 --gap 7'"
    story = "\n".join([*lines, *report.problems, again])
    assert report.exact, story
    assert len(report.faults) >= 8
    assert report.truth.records > 10_000
