"""Words of strangers in what is printed: no power over a terminal, no formula in a spreadsheet, JSON stays JSON."""

from __future__ import annotations

import csv
import io
import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.table import Table
from whole_system import ROOT, command

from pipeline.alerts.prometheus import ActiveAlert
from pipeline.demo.terminal import alerts_panel, funnel_panel
from pipeline.metrics.spreadsheet import harmless, harmless_csv
from pipeline.render.language import Language
from pipeline.terminal import JsonFormatter, PlainFormatter, cell, json_text, plain

EN = Language("en")

#: What a terminal would obey: colours, its title, the clipboard, going up a line, a bell, an 8-bit control, a new line.
ATTACKS = {
    "\x1b[31mx": r"\x1b[31mx",
    "\x1b]0;title\x07": r"\x1b]0;title\x07",
    "\x1b[1A\x1b[2Kfake": r"\x1b[1A\x1b[2Kfake",
    "\x1b]52;c;cm0gLXJm\x07": r"\x1b]52;c;cm0gLXJm\x07",
    "ios\x9b31m": r"ios\x9b31m",
    "a\nline 99: fine": r"a\nline 99: fine",
    "a\r\tb": r"a\r\tb",
    "\x7f\x08\x0b\x0c": r"\x7f\x08\x0b\x0c",
    "gpj.\u202eexe": r"gpj.\u202eexe",
    "a\u2028b\u0085c": r"a\u2028b\x85c",
    "half \ud83d": r"half \ud83d",
    "[red]Köln[/red] :smile: 北京 😀": "[red]Köln[/red] :smile: 北京 😀",
}


@pytest.mark.parametrize("text", ATTACKS)
def test_what_commands_a_terminal_is_shown_as_an_escape_and_the_rest_as_it_is(text: str) -> None:
    assert plain(text) == ATTACKS[text]


@given(st.text())
def test_nothing_is_left_that_a_terminal_obeys(text: str) -> None:
    shown = plain(text)
    assert len(shown.splitlines()) <= 1
    assert not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in shown)
    shown.encode()


@pytest.mark.parametrize("text", ATTACKS)
def test_tables_and_panels_of_the_demo_show_it_so(text: str) -> None:
    table = Table()
    table.add_row(cell(text))
    funnel = funnel_panel(EN, text, {"bucket": "day", "steps": [text, "b"], "users": [5, 4]})
    alert = alerts_panel(EN, [ActiveAlert("a", "firing", "critical", text, text, "", "", 0)])
    out = io.StringIO()
    console = Console(file=out, width=300)
    for thing in (table, funnel, alert):
        console.print(thing)
    shown = out.getvalue()
    assert shown.count(ATTACKS[text]) == 5
    assert "\x1b" not in shown
    assert "\x9b" not in shown


def test_a_log_line_stays_one_line() -> None:
    record = logging.LogRecord(
        "a", logging.ERROR, "f", 1, "rejected %s", ("x\x1b[2J\n2026-01-01 INFO all is well",), None
    )
    assert PlainFormatter("%(levelname)s %(message)s").format(record) == (
        r"ERROR rejected x\x1b[2J\n2026-01-01 INFO all is well"
    )


EVENTS = [
    {"event_id": "t1", "event": "share", "user_id": "u-t", "ts": 1795168755000, "\u001b]0;title\u0007\u001b[2Jpwn": 1},
    {"event_id": "t3", "event": "share", "user_id": "u-t", "ts": 1795168755000, "platform": "ios\u009b31m"},
    {"event_id": "t5", "event": "share", "user_id": "u-t", "ts": 1795168755000, "a\nline 99: fine": 1},
    {"event_id": "t6", "event": "\u001b[31m[red]buy", "user_id": "u-t", "ts": 1795168755000},
]


def test_a_record_as_json_is_one_line_of_ascii_whatever_it_says() -> None:
    """A stranger's line break begins no line, and the traceback is in it too."""
    try:
        raise ValueError("bad\nlevel=critical \x1b[31m\u2028北")
    except ValueError:
        record = logging.LogRecord("a.b", logging.ERROR, "f.py", 1, "said %s\r\n{}", ("x\x00y",), sys.exc_info())
    record.created = 1_795_168_755.0625
    line = JsonFormatter().format(record)
    assert line.isascii()
    assert line.isprintable()
    found = json.loads(line)
    assert "bad\nlevel=critical" in found.pop("exception")
    assert found == {
        "time": "2026-11-20T09:59:15.062Z", "level": "error", "logger": "a.b", "message": "said x\x00y\r\n{}",
    }  # fmt: skip


@pytest.mark.parametrize("arguments", [["check"], ["send", "--dry-run"], ["replay"]])
def test_each_problem_of_a_hostile_file_is_one_harmless_line(arguments: list[str], tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    file.write_text("".join(json.dumps(event) + "\n" for event in EVENTS))
    done = command(*arguments, str(file), "--plan", "shop")
    said = done.stdout + done.stderr
    assert done.returncode == (0 if arguments == ["replay"] else 1)  # a replay counts what is an event
    assert not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in said.replace("\n", ""))
    assert not any(line.startswith("line 99") for line in said.splitlines())
    assert r"\x1b" in said
    as_json = command(*arguments, str(file), "--plan", "shop", "--json")
    if arguments == ["check"]:
        assert [json.loads(line)["line"] for line in as_json.stdout.splitlines()[:-1]] == [1, 3, 4]
    else:
        json.loads(as_json.stdout)
    assert not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in as_json.stdout.replace("\n", ""))


def test_a_plan_with_marks_of_rich_in_it_is_shown_as_it_is(tmp_path: Path) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text(
        'product: "[red]Shop[/red]"\ndescription: ":smile: \\e[2J"\nevents:\n  look: {description: "[bold]x[/bold]"}\n'
        "dimensions: [event]\n"
    )
    done = command("plan", "show", "--plan", str(plan))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("[red]Shop[/red]  :smile: \\x1b[2J\n")
    assert "[bold]x[/bold]" in done.stdout


def test_json_is_one_document_in_one_line_however_narrow_the_terminal_is() -> None:
    for arguments in (["metrics", "list", "--json"], ["metrics", "show", "retention", "--json"],
                      ["plan", "show", "--json"], ["plan", "check", "shop", "--json"]):  # fmt: skip
        for environment in ({"COLUMNS": "20"}, {"COLUMNS": "20", "FORCE_COLOR": "1"}, ASCII):
            done = command(*arguments, env=environment)
            assert done.returncode == 0, done.stderr
            json.loads(done.stdout)
            assert "\x1b" not in done.stdout


#: A terminal of another time, or a job without a locale.
ASCII = {"PYTHONIOENCODING": "ascii", "LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"], ["send", "--help"], ["metrics", "list"], ["metrics", "show", "retention"], ["plan", "show"],
        ["plan", "check", "shop"], ["plan", "check", "FILE"], ["plan", "export"], ["check", "FILE"], ["replay", "FILE"],
        ["send", "--dry-run", "FILE"], ["check", "nö-such-file.jsonl"],
        ["simulate", "--days", "0.1", "--events", "50", "-o", "-"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_no_command_fails_for_want_of_letters(arguments: list[str], tmp_path: Path) -> None:
    file = tmp_path / "café.jsonl"
    file.write_text(
        json.dumps({"event_id": "é→北", "event": "shäre", "user_id": "u", "ts": 1795168755000}) + "\n", "utf-8"
    )
    named = [str(file) if word == "FILE" else word for word in arguments]
    done = subprocess.run(
        [sys.executable, "-P", "-m", "pipeline.cli", *named],
        capture_output=True, timeout=120, env={**os.environ, "PYTHONPATH": str(ROOT), **ASCII},
    )  # fmt: skip
    assert b"Traceback" not in done.stderr, done.stderr.decode()
    assert done.returncode in (0, 1, 2)
    done.stdout.decode("utf-8" if "-o" in named else "ascii")


def test_a_folder_that_can_not_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    nowhere = str(tmp_path / "file" / "data")
    for arguments in (
        ["up", "--data", nowhere], ["demo", "--data", nowhere], ["alerts", "render", "-o", nowhere],
        ["simulate", "--events", "10", "--days", "0.1", "-o", f"{nowhere}/a.jsonl"],
    ):  # fmt: skip
        done = command(*arguments)
        assert done.returncode == 2, done.stderr
        assert done.stderr.startswith("streamgauge: ")
        assert done.stderr.count("\n") == 1
        assert "Not a directory" in done.stderr


def test_an_output_that_is_full_or_closed_is_no_traceback() -> None:
    for target in ("> /dev/full", "| true"):
        done = subprocess.run(
            f"{sys.executable} -P -m pipeline.cli metrics show retention {target}", shell=True, executable="/bin/bash",
            capture_output=True, text=True, timeout=60, env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        assert "Traceback" not in done.stderr
        assert "Exception ignored" not in done.stderr
        assert done.stderr.count("\n") <= 1


@pytest.mark.parametrize("text", ['=HYPERLINK("http://x","y")', "+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "＝1+1"])
def test_a_formula_becomes_text(text: str) -> None:
    assert harmless(text) == "'" + text
    quoted = '"' + text.replace('"', '""') + '"'
    data = f'"name","n"\n{quoted},-5\n"a",{quoted}\n'.encode()
    rows = list(csv.reader(io.StringIO(harmless_csv(data).decode(), newline="")))
    assert rows == [["name", "n"], ["'" + text, "-5"], ["a", "'" + text]]


@pytest.mark.parametrize("text", ["\uf000x", "ｘ", "\uffff", "＜1", "é"])
def test_a_letter_that_shares_a_byte_with_a_wide_sign_is_none(text: str) -> None:
    """＝ is three bytes in UTF-8, and other letters begin with the same."""
    assert harmless_csv(f'"{text}",1\n'.encode()) == f'"{text}",1\n'.encode()


@given(st.lists(st.lists(st.one_of(st.integers(), st.text()), min_size=2, max_size=2), min_size=1))
def test_only_formulas_change(rows: list[list[int | str]]) -> None:
    def written(value: int | str) -> str:
        return str(value) if isinstance(value, int) else '"' + value.replace('"', '""') + '"'

    before = "".join(",".join(map(written, row)) + "\n" for row in rows)
    after = "".join(",".join(written(harmless(value)) for value in row) + "\n" for row in rows)
    assert harmless_csv(before.encode("utf-8", "replace")) == after.encode("utf-8", "replace")


def test_json_text_escapes_what_a_terminal_obeys() -> None:
    assert json_text({"a": "\x1b\x9b\x7f ä"}).encode().isascii() or "ä" in json_text({"a": "ä"})
    assert json.loads(json_text({"a": "\x1b\x9b\x7f\ud800"})) == {"a": "\x1b\x9b\x7f\ud800"}
    assert not any(0x7F <= ord(c) < 0xA0 or ord(c) < 32 for c in json_text({"a": "\x1b\x9b\x7f"}))
