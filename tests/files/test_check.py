"""Checking files without a broker, and handing over records from a thread."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.errors import DependencyError
from pipeline.files.check import Check, Problem
from pipeline.files.command import check_file
from pipeline.files.sender import in_thread, send
from pipeline.ingest.sent import Sent
from schemas.plan_io import load_plan

SHOP = load_plan("shop")
T0 = 1_790_812_800_000
GOOD = {"event_id": "e1", "event": "share", "user_id": "u1", "ts": T0}


def lines(*events: dict[str, object] | bytes) -> list[tuple[int, bytes]]:
    return [(n, e if isinstance(e, bytes) else json.dumps(e).encode()) for n, e in enumerate(events, 1)]


def test_each_problem_has_its_line_and_the_summary_counts() -> None:
    check = Check(SHOP, now_ms=T0)
    bought = {**GOOD, "event": "purchase", "ts": T0 - 5000, "properties": {}}
    found = list(check.problems(lines(GOOD, b"{", bought, {**GOOD, "ts": T0 + 300_001})))
    assert found == [
        Problem(2, "invalid_json", "EOF while parsing an object at line 1 column 1"),
        Problem(3, "missing_field", "properties.order_id: is missing; properties.amount: is missing"),
        Problem(4, "time_in_future", f"ts {T0 + 300_001} lies in the future"),
    ]
    summary = check.summary
    assert (summary.lines, summary.valid, summary.first_ts, summary.last_ts) == (4, 1, T0, T0)
    assert summary.reasons == Counter(invalid_json=1, missing_field=1, time_in_future=1)
    assert summary.events == Counter(share=1)


def test_without_a_clock_any_time_until_2200_passes() -> None:
    assert list(Check(SHOP).problems(lines({**GOOD, "ts": 7_258_118_400_000}))) == []


def test_the_command_prints_lines_and_a_summary(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "a.jsonl"
    source.write_bytes(json.dumps({**GOOD, "ts": T0 - 10**10}).encode() + b"\n\n{}\n")
    assert check_file(SHOP, str(source), False) == 1
    assert capsys.readouterr().out.splitlines() == [
        "line 3: missing_field: event: the name of the event is missing or not a string",
        "2 lines: 1 valid, 1 not",
        "  rejected: 1 missing_field",
        "  events: 1 share",
        "  from 2026-06-07 06:13:20 to 2026-06-07 06:13:20 UTC",
    ]
    assert check_file(SHOP, str(source), True) == 1
    problem, summary = map(json.loads, capsys.readouterr().out.splitlines())
    assert (problem["line"], problem["reason"], problem["detail"][:6]) == (3, "missing_field", "event:")
    assert summary["summary"] == {
        "lines": 2,
        "valid": 1,
        "reasons": {"missing_field": 1},
        "events": {"share": 1},
        "first_ts": T0 - 10**10,
        "last_ts": T0 - 10**10,
    }


def test_a_file_without_problems_is_0(tmp_path: Path) -> None:
    source = tmp_path / "a.jsonl"
    source.write_bytes(json.dumps({**GOOD, "ts": T0 - 10**10}).encode())
    assert check_file(SHOP, str(source), False) == 0


async def test_a_thread_hands_over_everything_in_order() -> None:
    records = [Sent(n, None, None) for n in range(5_000)]
    assert [record async for record in in_thread(records, ahead=7)] == records


async def test_a_thread_hands_over_each_record_before_the_next_is_there() -> None:
    """As from a terminal or `tail -f`: what has come is sent, though the source is still open."""
    source, sink = os.pipe()

    def read() -> Iterator[Sent]:
        with open(source, "rb", buffering=0) as stream:
            while line := stream.read(1):
                yield Sent(0, line, None)

    handed = in_thread(read())
    for byte in (b"a", b"b", b"c"):
        os.write(sink, byte)
        assert (await asyncio.wait_for(anext(handed), 5)).key == byte
    os.close(sink)
    assert [record async for record in handed] == []


async def test_a_thread_reads_only_so_far_ahead_and_ends_with_its_reader() -> None:
    asked, ended = [], threading.Event()

    def read() -> Iterator[Sent]:
        try:
            for n in range(1_000_000):
                asked.append(n)
                yield Sent(n, None, None)
        finally:
            ended.set()

    handed = in_thread(read(), ahead=10)
    assert [(await anext(handed)).at for _ in range(3)] == [0, 1, 2]
    await handed.aclose()
    assert await asyncio.to_thread(ended.wait, 5)
    assert len(asked) <= 16


async def test_what_the_source_raises_comes_after_what_it_gave() -> None:
    def read() -> Iterator[Sent]:
        yield Sent(1, None, None)
        raise ValueError("line 2")

    seen = []
    with pytest.raises(ValueError, match="line 2"):
        async for record in in_thread(read()):
            seen.append(record.at)
    assert seen == [1]


async def test_a_broker_that_is_not_there_is_said_in_one_line() -> None:
    with pytest.raises(DependencyError, match=r"^Kafka at 127\.0\.0\.1:1 can't be reached: .+") as caught:
        await send([], kafka={"bootstrap_servers": "127.0.0.1:1"}, topic="events")
    assert "\n" not in str(caught.value)
