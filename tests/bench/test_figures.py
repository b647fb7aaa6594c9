"""What the benchmark makes of its figures: tables for the document, sizes of clusters, delays of events."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import sections
from bench.document import BEGIN, END, document, rewrite
from bench.events import make_events
from bench.feed import Feed, Seen
from bench.rows import Row, read, write
from bench.sizes import quick
from bench.sizing import Measured, size


def _rows() -> list[Row]:
    return [
        Row("archiver: events a second", "1/s", (90_000.0, 120_000.0, 110_000.0), 100_000.0, section="archiver"),
        Row("memory over a long run", "x", (), 1.05, True, "not run (--soak 30)", "memory"),
        Row("restart", "", note="failed: RuntimeError: no | answer", section="restart"),
    ]


def test_rows_come_back_from_the_file_as_they_were(tmp_path: Path) -> None:
    write(_rows(), tmp_path / "bench.json")
    assert read(tmp_path / "bench.json") == _rows()
    assert read(tmp_path / "none.json") == []


def test_a_missed_target_and_a_failed_section_are_bad_and_what_was_not_run_is_not() -> None:
    missed = Row("a", "s", (4.0,), 3.0, at_most=True)
    assert [row.bad for row in (*_rows(), missed)] == [False, False, True, True]


def test_the_document_shows_figures_and_what_was_not_run(tmp_path: Path) -> None:
    file = tmp_path / "performance.md"
    file.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    rewrite(file, _rows())
    text = file.read_text()
    assert text == f"before\n{BEGIN}\n\n{document(_rows())}\n\n{END}\nafter\n"
    assert "| archiver: events a second | 1/s | 90,000 | 110,000 | 120,000 | ≥ 100,000 | met |\n" in text
    assert "| memory over a long run | x |  |  |  | ≤ 1.05 | not run (--soak 30) |\n" in text
    assert "| restart |  |  |  |  |  | failed: RuntimeError: no \\| answer |\n" in text
    assert "### Sizes of a cluster\n\nnot run\n" in text
    assert "`freshness`: not run\n" in text


def test_a_document_without_markers_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "performance.md"
    file.write_text("text\n")
    with pytest.raises(ValueError, match="has no markers"):
        rewrite(file, _rows())


def test_sections_measured_again_replace_their_old_rows_and_no_others() -> None:
    new = Row("archiver: events a second", "1/s", (5.0,), section="archiver")
    assert sections.merged(_rows(), [new]) == [new, _rows()[2], _rows()[1]]


async def test_a_failed_section_becomes_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object) -> list[Row]:
        raise RuntimeError("the worker\n  folded nothing")

    monkeypatch.setitem(sections.SECTIONS, "archiver", fail)
    rows = await sections.run(["archiver"], quick(), lambda _: None)
    assert rows[0] == Row("archiver", "", note="failed: RuntimeError: the worker folded nothing", section="archiver")
    assert [row.name for row in rows[1:]] == [sections.ABOUT]


def test_the_size_of_a_cluster() -> None:
    found = size(1_000_000, Measured(100_000.0, 80_000.0, 250.0, 16.0))
    assert (found.workers, found.partitions, found.archivers) == (20, 128, 25)
    assert found.ids_bytes == 1_000_000 * 5_400 * 16
    assert found.users_bytes == 1_000_000 * 7_200 / 20 * 250
    assert found.bytes_a_worker == (86.4e9 + 90e9) / 20
    assert found.inserts == 20 * 3 + 25


def test_the_delay_of_events_is_from_sending_to_the_look_that_has_them() -> None:
    feed = Feed("127.0.0.1:1", "events", 2, 10.0)
    seen = Seen(feed)
    feed.tracks[0].ends, feed.tracks[0].times = [10, 20], [1.0, 2.0]
    feed.tracks[1].ends, feed.tracks[1].times = [5], [1.5]
    feed.offsets = {0: 20, 1: 5}
    seen.look({0: 10, 1: 4}, 3.0)  # of partition 1 an event is still missing
    assert not seen.complete()
    seen.look({0: 20, 1: 5}, 4.0)
    assert seen.complete()
    assert seen.delays == [(2.0, 10), (2.0, 10), (2.5, 5)]
    assert (seen.percentile(0.5), seen.percentile(0.99)) == (2.0, 2.5)


def test_events_have_the_size_that_they_are_named_after() -> None:
    for large, low, high in ((False, 215, 245), (True, 860, 940)):
        _, values = make_events(1_000, 1_760_000_000_000, large=large)
        assert low < sum(map(len, values)) / len(values) < high
        assert len({value[13:45] for value in values}) == 1_000  # ids
