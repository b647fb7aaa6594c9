"""Rows of `gaps_raw`: what was gone from Kafka's log before a role had read it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Final, Literal

from pipeline.measure.rows import GapRow

GAPS_TABLE: Final = "gaps_raw"
GAP_COLUMNS: Final = ("stream", "role", "partition", "first_offset", "end_offset", "since", "noticed_at")


def gap_columns(stream: str, role: Literal["worker", "archiver"], gaps: Sequence[GapRow]) -> list[list[Any]]:
    """The gaps as columns. Inserting one again changes nothing."""
    now = int(time.time() * 1000)
    rows = [(stream, role, gap.partition, gap.first, gap.end, gap.watermark, now) for gap in gaps]
    return [list(column) for column in zip(*rows, strict=True)]
