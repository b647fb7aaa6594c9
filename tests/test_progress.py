"""How far something is, for whoever waits: also in a pipe."""

from __future__ import annotations

import io

import pytest

from pipeline.progress import ProgressLog, progress_bar


def test_a_line_every_ten_seconds_says_how_far_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    times = iter([100.0, 101.0, 109.9, 110.0, 112.0, 125.0])
    log = ProgressLog("counted", clock=lambda: next(times))
    for done in (10, 200, 250, 300, 750):
        log(done, 1000)
    assert capsys.readouterr().err.splitlines() == ["counted: 25 % after 10 s", "counted: 75 % after 25 s"]


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_name_of_a_file_is_no_markup_and_commands_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """rich raised MarkupError of a file called `a[/b].jsonl`."""
    shown = _Terminal()
    monkeypatch.setattr("sys.stderr", shown)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    with progress_bar("sending a[/b].jsonl \x1b]0;title\x07", 10) as show:
        assert show is not None
        show(10)
    assert r"sending a[/b].jsonl \x1b]0;title\x07" in shown.getvalue()
    assert "\x1b]0" not in shown.getvalue()
