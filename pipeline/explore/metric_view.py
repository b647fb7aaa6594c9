"""Where the people behind a metric's numbers are, as a row of a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class MetricPeople:
    """Where the people of a metric are.

    `view` is what follows FROM, `keys` are the columns that name a row, `row` is the condition that a person is in it,
    and `columns` says of each column that counts people whom of them it counts. `{NAME}` is an argument of the metric,
    `{of_NAME}` the row's value of a key.
    """

    view: str
    keys: tuple[str, ...]
    row: str
    columns: Mapping[str, str]
