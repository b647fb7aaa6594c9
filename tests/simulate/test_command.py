"""`streamgauge simulate`, as somebody runs it who needs events of the past."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path

from whole_system import command, last_json

from schemas.side_tables import SIDES

SMALL = ("--days", "3", "--events", "3000", "--end", "2026-10-04")


def test_the_file_is_the_same_each_time_and_all_of_it_is_valid(tmp_path: Path) -> None:
    first, second = tmp_path / "a.jsonl", tmp_path / "b.jsonl.gz"
    done = command("simulate", *SMALL, "-o", str(first), "--json")
    assert done.returncode == 0, done.stderr
    summary = last_json(done.stdout)
    # Midnight in Shanghai, where the shop is.
    assert (summary["start"], summary["end"]) == (1_790_784_000_000, 1_791_043_200_000)
    assert command("simulate", *SMALL, "-o", str(second)).stdout.endswith(f"over 3 days written to {second}\n")
    assert first.read_bytes() == gzip.decompress(second.read_bytes())
    lines = first.read_bytes().splitlines()
    assert len(lines) == summary["events"]
    assert 2_500 < len(lines) < 3_500
    checked = command("check", str(first))
    assert checked.returncode == 0
    assert checked.stdout.startswith(f"{len(lines):,} lines: {len(lines):,} valid, 0 not")


def test_what_was_made_is_said_in_the_language_of_the_terminal(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    done = command("simulate", *SMALL, "-o", str(file), env={"LC_ALL": "zh_CN.UTF-8", "PYTHONIOENCODING": "utf-8"})
    events = len(file.read_bytes().splitlines())
    assert (done.stdout, done.stderr) == (f"已生成 3 天的 {events:,} 个事件，写入 {file}\n", "")


def test_the_side_tables_can_be_imported(tmp_path: Path) -> None:
    done = command("simulate", *SMALL, "-o", str(tmp_path / "a.jsonl"), "--sides", str(tmp_path / "sides"))
    assert done.returncode == 0, done.stderr
    lines = {file.name: file.read_text().splitlines() for file in (tmp_path / "sides").iterdir()}
    assert lines["spend.csv"][0] == "day,channel,campaign,amount,currency,impressions,clicks"
    assert len(lines["spend.csv"]) == 1 + 3 * 9  # days, campaigns
    # The first begins at 2026-09-30T16:00Z.
    assert lines["campaigns.csv"][1:] == [
        "check-in-2026w40,check-in,2026-09-28,2026-09-30,before,10",
        "sale-2026w40,sale,2026-10-01,2026-10-04,others,50",
    ]
    assert len(lines["content.csv"]) > 60
    for name in ("spend", "campaigns", "content"):
        with (tmp_path / "sides" / f"{name}.csv").open() as file:
            for row in csv.DictReader(file):
                SIDES[name].model_validate({key: value for key, value in row.items() if value})


def test_a_fault_takes_events_away(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    done = command("simulate", *SMALL, "-o", str(file), "--fault", "step=add_to_cart from=2026-10-02")
    assert done.returncode == 0, done.stderr
    days = {
        (e["ts"] - 1_790_784_000_000) // 86_400_000
        for e in map(json.loads, file.read_text().splitlines())
        if e["event"] == "add_to_cart"
    }
    assert days == {0}


def test_what_makes_no_sense_is_told_in_one_line(tmp_path: Path) -> None:
    plan = tmp_path / "other.yaml"
    plan.write_text("product: Test\nevents:\n  look: {}\n")
    for arguments, message in (
        ((), "streamgauge: say where the events go: -o FILE, or --insert into ClickHouse\n"),
        (
            ("-o", "x", "--fault", "step=teleport"),
            "streamgauge: --fault 'step=teleport': the plan has no event teleport\n",
        ),
        (("-o", "x", "--end", "soon"), "streamgauge: --end 'soon' is not a time: write it like 2026-11-22"),
        (("-o", "x", "--plan", str(plan)), "streamgauge: the simulated users are those of the plans shop and content"),
        (("-o", "/nowhere/x"), "streamgauge: /nowhere/x can't be written: No such file or directory\n"),
    ):
        done = command("simulate", *arguments)
        assert done.returncode == 2, arguments
        assert done.stderr.startswith(message)
        assert len(done.stderr.splitlines()) == 1
