"""What was measured of one run, the same for all systems."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple


class Point(NamedTuple):
    """How far a process was at a moment."""

    records: int
    at: float  # seconds of any clock
    cpu: float  # seconds of CPU that it had taken, all its threads


@dataclass(frozen=True)
class Measured:
    """One run: from its first record to its last. What a start takes before the first record is left out."""

    points: Sequence[Point]
    peak_memory: int  # bytes, resident

    @property
    def rate(self) -> float:
        """Records a second."""
        first, last = self.points[0], self.points[-1]
        return (last.records - first.records) / (last.at - first.at)

    @property
    def cpu_rate(self) -> float:
        """Records a second of CPU time."""
        return _cpu_rate(self.points[0], self.points[-1])

    @property
    def steady_rate(self) -> float:
        """The same without the first third, in which compilers warm up and state is small."""
        last = self.points[-1]
        return _cpu_rate(next(point for point in self.points if point.records * 3 >= last.records), last)

    @property
    def cores(self) -> float:
        """CPU that it used, of the one core that it had."""
        first, last = self.points[0], self.points[-1]
        return (last.cpu - first.cpu) / (last.at - first.at)


def _cpu_rate(first: Point, last: Point) -> float:
    """Of a run too short for the clock of CPU time it is that of its smallest step."""
    return (last.records - first.records) / max(last.cpu - first.cpu, 0.01)
