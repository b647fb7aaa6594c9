"""Whole records of strangers at random: value, key, headers, time, compression, batch. No exit, and one answer."""

from __future__ import annotations

from pathlib import Path

import pytest
from chaos.fuzz import fuzz

pytestmark = pytest.mark.integration


async def test_no_record_ends_a_role_and_both_judge_alike(tmp_path: Path) -> None:
    assert await fuzz(6_000, seed=11, apache=False, folder=tmp_path) == []
