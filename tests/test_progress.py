"""How far something is, for whoever waits: also in a pipe."""

from __future__ import annotations

import pytest

from pipeline.progress import ProgressLog


def test_a_line_every_ten_seconds_says_how_far_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    times = iter([100.0, 101.0, 109.9, 110.0, 112.0, 125.0])
    log = ProgressLog("counted", clock=lambda: next(times))
    for done in (10, 200, 250, 300, 750):
        log(done, 1000)
    assert capsys.readouterr().err.splitlines() == ["counted: 25 % after 10 s", "counted: 75 % after 25 s"]
