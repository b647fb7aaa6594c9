"""Which rows belong together, against a dictionary of lists."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.measure.grouping import Groups, codes_of, near, pairs


def test_rows_of_literal_columns() -> None:
    codes = codes_of(["ios", "web", "ios", ""])
    assert codes.tolist() == [0, 1, 0, 2]
    assert near(np.array([7, 5, 7])).tolist() == [2, 0, 2]
    assert near(np.array([1 << 50, 5, 1 << 50])).tolist() == [0, 1, 0]
    groups = Groups(codes)
    assert [(first, groups.order[own].tolist()) for first, own in groups] == [(0, [0, 2]), (1, [1]), (3, [3])]


@given(
    st.lists(
        st.tuples(st.integers(-(1 << 40), 1 << 40) | st.integers(0, 3), st.sampled_from("abc"), st.integers(0, 9)),
        min_size=1,
    )
)
def test_equal_rows_come_together_in_the_order_of_their_first(rows: list[tuple[int, str, int]]) -> None:
    numbers, texts, others = (list(column) for column in zip(*rows, strict=True))
    code = pairs(pairs(near(np.array(numbers, np.int64)), codes_of(texts)), codes_of(others) + (1 << 61))
    expected: dict[tuple[int, str, int], list[int]] = {}
    for i, row in enumerate(rows):
        expected.setdefault(row, []).append(i)
    groups = Groups(code)
    assert [(first, groups.order[own].tolist()) for first, own in groups] == [(at[0], at) for at in expected.values()]
