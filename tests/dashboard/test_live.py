"""What the dashboard keeps of the readings of workers."""

from __future__ import annotations

from pipeline.dashboard.live import Sample, rates


def test_the_curve_is_records_a_second_in_each_span_that_was_read() -> None:
    samples = [Sample(0, 0), Sample(1_000, 100), Sample(2_000, 300), Sample(7_000, 300)]
    assert rates(samples, 8_000, 2_000, 4) == [150.0, None, None, 0.0]
    assert rates(samples[:1], 8_000, 2_000, 4) == [None] * 4
