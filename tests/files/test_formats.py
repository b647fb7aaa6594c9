"""One answer of every command to what a file is: packing, encoding, ends of lines, format, separator."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import subprocess
import sys
import threading
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import pytest
from backports import zstd
from whole_system import command

from pipeline.errors import UserError
from pipeline.files import packing
from pipeline.files.command import check_file, preview_files
from pipeline.files.detect import Given, text_encoding
from pipeline.files.reader import BadLineError, Reading, read_events
from pipeline.files.side_tables import import_file
from pipeline.replay.command import replay_file
from pipeline.settings import Settings
from schemas.plan_io import parse_plan

PLAN = parse_plan("""
product: Test
lateness: 400d
dimensions: [event]
events:
  view: {properties: {tag: string, city: string, n: integer}}
  buy: {value: amount, properties: {amount: number!}}
funnels: {}
""")
HEADER = "event_id,event,user_id,ts,city,amount\n"
ROWS = "e1,view,u1,2026-11-20T10:00:00Z,Köln,\ne2,buy,u1,2026-11-20T10:05:00Z,Köln,19.90\n"
#: What the two rows are, however they are written.
EVENTS = [
    {"event_id": "e1", "event": "view", "user_id": "u1", "ts": 1_795_168_800_000, "properties": {"city": "Köln"}},
    {"event_id": "e2", "event": "buy", "user_id": "u1", "ts": 1_795_169_100_000,
     "properties": {"city": "Köln", "amount": 19.9}},
]  # fmt: skip
CSV = HEADER + ROWS
JSON_LINES = "".join(json.dumps(event, ensure_ascii=False) + "\n" for event in EVENTS)


def zipped(text: str, *names: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names or ("a.csv",):
            archive.writestr(name, text)
    return out.getvalue()


def found(path: Path, **reading: Any) -> list[dict[str, Any]]:
    return [json.loads(line.value) for line in read_events(str(path), Reading(plan=PLAN, **reading))]


#: The same two events. What a person has to say is in the third place.
FILES: dict[str, tuple[str, bytes, Given]] = {
    "commas": ("a.csv", CSV.encode(), Given()),
    "semicolons": ("a.csv", CSV.replace(",", ";").replace("19.90", "19,90").encode(), Given()),
    "tabs in a file called csv": ("a.csv", CSV.replace(",", "\t").encode(), Given()),
    "bars": ("a.txt", CSV.replace(",", "|").encode(), Given()),
    "a separator that is said": ("a.csv", CSV.replace(",", "~").encode(), Given(separator="~")),
    "Excel's first line": ("a.csv", b"sep=;\r\n" + CSV.replace(",", ";").replace("\n", "\r\n").encode(), Given()),
    "a byte order mark": ("a.csv", b"\xef\xbb\xbf" + CSV.encode(), Given()),
    "UTF-16 little, mark": ("a.csv", b"\xff\xfe" + CSV.encode("utf-16-le"), Given()),
    "UTF-16 big, mark": ("a.csv", b"\xfe\xff" + CSV.encode("utf-16-be"), Given()),
    "UTF-16 little, no mark": ("a.csv", CSV.encode("utf-16-le"), Given()),
    "UTF-16 big, no mark": ("a.csv", CSV.encode("utf-16-be"), Given()),
    "UTF-16 that is said": ("a.csv", CSV.encode("utf-16-le"), Given(encoding="utf-16")),
    "UTF-32": ("a.csv", CSV.encode("utf-32"), Given()),
    "Latin-1": ("a.csv", CSV.encode("latin-1"), Given(encoding="iso8859-1")),
    "CR only": ("a.csv", CSV.replace("\n", "\r").encode(), Given()),
    "CR only, UTF-16": ("a.csv", CSV.replace("\n", "\r").encode("utf-16"), Given()),
    "CR LF and empty rows of a spreadsheet": (
        "a.csv", CSV.replace("\n", ",,\r\n").encode() + b",,,,,,,\r\n", Given(),
    ),
    "JSON lines": ("a.jsonl", JSON_LINES.encode(), Given()),
    "JSON lines in a file called csv": ("a.csv", JSON_LINES.encode(), Given()),
    "JSON lines, byte order mark": ("a.jsonl", b"\xef\xbb\xbf" + JSON_LINES.encode(), Given()),
    "JSON lines, UTF-16": ("a.jsonl", JSON_LINES.encode("utf-16"), Given()),
    "a list in one line": ("a.json", json.dumps(EVENTS).encode(), Given()),
    "a list, one element a line": ("a.json", b"[\n" + ",\n".join(map(json.dumps, EVENTS)).encode() + b"\n]\n", Given()),
    "an indented list": ("a.json", json.dumps(EVENTS, indent=2).encode(), Given()),
    "indented documents": ("a.json", "\n".join(json.dumps(e, indent=2) for e in EVENTS).encode(), Given()),
    "gzip": ("a.csv.gz", gzip.compress(CSV.encode()), Given()),
    "zip": ("a.csv.zip", zipped(CSV), Given()),
    "zip of a Mac": ("a.zip", zipped(CSV, "a.csv", "__MACOSX/._a.csv"), Given()),
    "zstd": ("a.csv.zst", zstd.compress(CSV.encode()), Given()),
    "bzip2": ("a.csv.bz2", bz2.compress(CSV.encode()), Given()),
    "xz": ("a.csv.xz", lzma.compress(CSV.encode()), Given()),
    "gzip of UTF-16 with semicolons": ("a.gz", gzip.compress(CSV.replace(",", ";").encode("utf-16")), Given()),
    "a second byte order mark": ("a.csv", b"\xef\xbb\xbf" * 2 + CSV.encode(), Given()),
    "a column without a name": (
        "a.csv", "".join(f"{n or ''},{line}\n" for n, line in enumerate(CSV.splitlines())).encode(), Given(),
    ),
    "zip of a Mac's folder": ("a.zip", zipped(CSV, "data/a.csv", "data/.DS_Store"), Given()),
    "gzip of two parts": ("a.csv.gz", gzip.compress(HEADER.encode()) + gzip.compress(ROWS.encode()), Given()),
    "tabs before JSON": ("a.jsonl", "".join(f"\t {line}\n" for line in JSON_LINES.splitlines()).encode(), Given()),
    "quotes": ("a.csv", CSV.replace("Köln", '"Köln"').encode(), Given()),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_every_way_to_write_two_events_is_read_and_judged_alike(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, data, given = FILES[name]
    path = tmp_path / file
    path.write_bytes(data)
    assert found(path, given=given) == EVENTS
    reading = Reading(plan=PLAN, given=given)
    assert check_file(PLAN, str(path), False, reading) == 0
    assert "2 valid, 0 not" in capsys.readouterr().out
    assert preview_files(PLAN, [str(path)], reading, True) == 0
    assert json.loads(capsys.readouterr().out)["accepted"] == 2
    assert replay_file(PLAN, str(path), reading, as_json=True) == 0
    assert json.loads(capsys.readouterr().out)["totals"]["accepted"] == 2


SPEND = "day,channel,amount\n2026-11-01,Köln,19.90\n2026-11-02,Köln,5\n"
#: The same two rows of a side table, and what a person has to say.
SPENT: dict[str, tuple[str, bytes, Given]] = {
    "commas": ("a.csv", SPEND.encode(), Given()),
    "a column without a name": ("a.csv", SPEND.replace("day", ",day").replace("2026", "7,2026").encode(), Given()),
    "semicolons": ("a.csv", SPEND.replace(",", ";").replace("19.90", "19,90").encode(), Given()),
    "tabs": ("a.csv", SPEND.replace(",", "\t").encode(), Given()),
    "a separator that is said": ("a.csv", SPEND.replace(",", "~").encode(), Given(separator="~")),
    "a byte order mark": ("a.csv", b"\xef\xbb\xbf" + SPEND.encode(), Given()),
    "UTF-16": ("a.csv", SPEND.encode("utf-16"), Given()),
    "Latin-1": ("a.csv", SPEND.encode("latin-1"), Given(encoding="iso8859-1")),
    "GBK": ("a.csv", SPEND.replace("Köln", "北京").encode("gbk"), Given(encoding="gb18030")),
    "CR only": ("a.csv", SPEND.replace("\n", "\r").encode(), Given()),
    "a list": ("a.json", json.dumps([
        {"day": "2026-11-01", "channel": "Köln", "amount": 19.9}, {"day": "2026-11-02", "channel": "Köln", "amount": 5},
    ]).encode(), Given()),
    "gzip": ("a.csv.gz", gzip.compress(SPEND.encode()), Given()),
    "zip": ("a.csv.zip", zipped(SPEND), Given()),
    "zstd": ("a.csv.zst", zstd.compress(SPEND.encode()), Given()),
}  # fmt: skip


@pytest.mark.parametrize("name", SPENT)
async def test_an_import_reads_the_same_files(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, data, given = SPENT[name]
    path = tmp_path / file
    path.write_bytes(data)
    asked = import_file(Settings(), "spend", str(path), None, True, reading=Reading(given=given), dry_run=True)
    assert await asked == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["rows"], found["bad"]) == (2, 0)
    columns = {column["name"]: column["read_as"] or column["such_as"] for column in found["columns"]}
    assert columns["channel"] == ("北京" if name == "GBK" else "Köln")
    assert float(columns["amount"]) == 19.9


def test_gbk_is_named_with_what_it_would_read_and_read_when_it_is_said(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(CSV.replace("Köln", "北京").encode("gbk"))
    with pytest.raises(BadLineError, match=r"line 2: not UTF-8 \('±±¾©' in cp1252 or '北京' in gb18030\?\): say --enc"):
        found(path)
    said = found(path, given=Given(encoding=text_encoding("GBK")))
    assert [event["properties"]["city"] for event in said] == ["北京", "北京"]


def test_bytes_that_are_not_of_the_encoding_that_was_said_cost_their_line(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(HEADER.encode() + b"e0,view,u,1795168800,\xff\xff,\n" + ROWS.replace("Köln", "北京").encode("gbk"))
    bad: list[BadLineError] = []
    reading = Reading(plan=PLAN, given=Given(encoding="gb18030"))
    assert len(list(read_events(str(path), reading, on_bad=bad.append))) == 2
    assert [(b.number, b.problem) for b in bad] == [(2, "not gb18030")]


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("a.csv", b"", "is empty"),
        ("a.csv", b" \r\n\n", "is empty"),
        ("a.csv.gz", gzip.compress(b""), "is empty"),
        ("a.csv", bytes(range(256)) * 8, "is a binary file, neither JSON nor CSV"),
        ("a.csv", b"\x01\x02\x03\x04" * 200, "is no text, neither JSON nor CSV: is it the right file"),
        ("a.parquet", b"PAR1" + b"\0" * 60, "is a Parquet file: write it as CSV or JSON lines"),
        ("a.xlsx", zipped("x", "[Content_Types].xml", "xl/sheet1.xml"), "is an Office document: save the sheet as CSV"),
        ("a.xls", b"\xd0\xcf\x11\xe0" + b"\0" * 60, "is an old Office document: save the sheet as CSV"),
        (
            "a.zip",
            zipped("x", "a.csv", "b.csv"),
            r"is a zip archive of 2 files \(a.csv, b.csv\): unpack it, and give one",
        ),
        ("a.zip", zipped("x", "a\x1b[2J.csv", "b.csv"), r"of 2 files \(a\\x1b\[2J.csv, b.csv\)"),
        ("a.zip", zipped("")[:-9], "is a damaged zip file"),
        ("a.zip.gz", gzip.compress(zipped("x")), "is a zip archive in another file"),
        ("a.gz.gz", gzip.compress(gzip.compress(CSV.encode())), "is packed twice"),
        ("a.zst", zstd.compress(CSV.encode())[:-5], "is a damaged zstd file"),
        ("a.bz2", bz2.compress(CSV.encode())[:40] + b"x" * 30, "is a damaged bzip2 file"),
        ("a.xz", lzma.compress(CSV.encode())[:-20], "is a damaged xz file"),
        ("a.html", b"<!doctype html><p>Log in", "begins like HTML or XML"),
        ("a.csv", b"\xff\xfe" + CSV.encode("utf-16-le") + b"x", "is damaged, or not utf-16-le"),
    ],
)
def test_what_holds_no_events_is_one_clear_line(name: str, data: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(UserError, match=words) as caught:
        list(read_events(str(path), Reading(plan=PLAN)))
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_every_command_says_it_in_one_line_and_with_2(tmp_path: Path) -> None:
    for arguments in (["check"], ["replay"], ["send"], ["send", "--dry-run"], ["import", "--dry-run", "spend"]):
        done = command(*arguments, str(tmp_path))
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == f"streamgauge: {tmp_path} can't be read: Is a directory\n"


@pytest.mark.parametrize("pack", [gzip.compress, zstd.compress, bz2.compress, lzma.compress])
def test_a_file_that_unpacks_without_end_is_refused(pack: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "UNPACKED_FREELY", 1 << 20)
    path = tmp_path / "bomb"
    path.write_bytes(pack((b'{"a":"' + b"x" * 9_000 + b'"}\n') * 3_500))
    tracemalloc.start()
    try:
        with pytest.raises(UserError, match="bomb unpacks to more than 500 times its size: that is no file of events"):
            list(read_events(str(path), Reading(plan=PLAN), on_bad=lambda _: None))
        assert tracemalloc.get_traced_memory()[1] < 12_000_000
    finally:
        tracemalloc.stop()


def test_a_list_in_one_line_is_read_in_bounded_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    one = json.dumps({**EVENTS[0], "properties": {"tag": "x" * 300}})
    with path.open("w") as out:
        out.write("[" + ",".join([one] * 30_000) + "]")
    tracemalloc.start()
    try:
        assert sum(1 for _ in read_events(str(path), Reading(plan=PLAN))) == 30_000
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()


def test_events_of_a_list_keep_their_bytes_and_equal_ones_their_own_ids(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    one = '{"event": "view", "user_id": "u", "ts": 1795168800, "properties": {"n": 9007199254740993}}'
    kept = '{ "event_id":"k","event":"view","user_id":"u","ts":1795168800000,"properties":{"x":1.10}}'
    path.write_text(f"[{one},{one},{kept}]")
    lines = list(read_events(str(path), Reading(plan=PLAN)))
    assert lines[2].value == kept.encode()
    assert json.loads(lines[0].value)["properties"] == {"n": 9007199254740993}
    assert len({json.loads(line.value)["event_id"] for line in lines}) == 3


@pytest.mark.parametrize(
    ("text", "bad"),
    [
        ('[{"a": }]', [(1, "(line 1) not JSON: Expecting value; nothing from here on is read")]),
        ("[\nGOOD,\nGOOD\n", [(3, "the list does not end: is the file cut?; nothing from here on is read")]),
        ("[GOOD GOOD]", [(2, "no comma in line 1; nothing from here on is read")]),
        ('[GOOD, 5, "x", GOOD]', [(2, "not a JSON object"), (3, "not a JSON object")]),
        ("[GOOD] GOOD", [(2, "after the end of the list there is more, in line 1")]),
        (
            '{"events": [GOOD, GOOD]}',
            [(1, "it has no time, but a list of objects in 'events': give that list alone")],
        ),
        ('[GOOD,{"a":"\\ud83d"}]', [(2, "it has no time: name its column with --map ts=COLUMN")]),
    ],
)
def test_what_is_wrong_in_a_list_is_named_by_its_item(text: str, bad: list[tuple[int, str]], tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(text.replace("GOOD", json.dumps(EVENTS[0])))
    seen: list[BadLineError] = []
    list(read_events(str(path), Reading(plan=PLAN), on_bad=seen.append))
    assert [(b.number, b.problem) for b in seen] == bad
    assert all(f"{path} {'line' if text[0] == '{' else 'item'} " in str(b) for b in seen)


def rows(count: int, **other: str) -> list[str]:
    return [other.get(f"r{n}", f"e{n},view,u{n},2026-11-20T10:00:00Z,a,") for n in range(1, count + 1)]


@pytest.mark.parametrize(
    ("lines", "bad", "good"),
    [
        # Nobody closes it: without the mend all that follows is one cell.
        (rows(200, r3='e3,view,u3,2026-11-20T10:00:00Z,"oops,'), [4], 199),
        # The next quoted cell closes it, which is no CSV.
        (rows(200, r3='e3,view,u3,2026-11-20T10:00:00Z,"oops,', r150='e150,view,u,2026-11-20T10:00:00Z,"a, b",'),
         [4], 199),
        # An empty quoted cell reads as a quote in a cell.
        (rows(200, r3='e3,view,u3,2026-11-20T10:00:00Z,"oops,', r9='e9,view,u,2026-11-20T10:00:00Z,"",'), [4], 199),
        # Two stray quotes: whole rows between them.
        (rows(200, r3='e3,view,u3,2026-11-20T10:00:00Z,"oops,', r150='e150,view,u,2026-11-20T10:00:00Z,a",'),
         [4], 199),
        # More than a cell can hold follows.
        (rows(9_000, r3='e3,view,u3,2026-11-20T10:00:00Z,"oops,'), [4], 8_999),
        (rows(3, r3='e3,view,u3,2026-11-20T10:00:00Z,"oops,'), [4], 2),
    ],
    ids=["to the end", "a quoted cell behind", "an empty one behind", "two", "long", "in the last line"],
)  # fmt: skip
def test_a_quote_that_is_not_closed_costs_its_own_line_alone(
    lines: list[str], bad: list[int], good: int, tmp_path: Path
) -> None:
    path = tmp_path / "a.csv"
    path.write_text(HEADER + "\n".join(lines) + "\n")
    seen: list[BadLineError] = []
    sent = list(read_events(str(path), Reading(plan=PLAN), on_bad=seen.append))
    assert [b.number for b in seen] == bad
    assert "quote opens here" in seen[0].problem
    assert len(sent) == good


def test_cells_of_several_lines_stay_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(HEADER + 'e1,view,u,1795168800,"a, b\n\nc, ""d""\n\ne",\ne2,view,u,1795168800,x,\n')
    assert [(e["event_id"], e["properties"]["city"]) for e in found(path)] == [
        ("e1", 'a, b\n\nc, "d"\n\ne'), ("e2", "x"),
    ]  # fmt: skip


def test_a_pipe_that_stays_open_is_read_as_it_comes() -> None:
    program = (
        "import sys; from pipeline.files.reader import read_events\n"
        "for line in read_events('-'): print(line.number, flush=True)"
    )
    arguments = [sys.executable, "-c", program]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        watchdog = threading.Timer(30, process.kill)
        watchdog.start()
        for number in (1, 2):
            process.stdin.write(json.dumps(EVENTS[0]) + "\n")
            process.stdin.flush()
            assert process.stdout.readline() == f"{number}\n"
        process.stdin.close()
        process.wait()
        watchdog.cancel()


def test_a_dry_run_says_of_each_column_what_becomes_of_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.csv"
    path.write_text(
        "id;what;who;when;amount;colour\n"
        "1;buy;u1;2026/11/20 9:00;19,90;red\n"
        "2;buy;u2;2026/11/20 9:01;much;\n"
        "3;view;u3;20.11.2026;;\n"
        "4;buy;u4;2026/11/20 9:02;1.299;\n"
    )
    from pipeline.cli.reading import reading

    how = reading(PLAN, mapping="event_id=id,event=what,user_id=who,ts=when", tz="Europe/Berlin")
    assert preview_files(PLAN, [str(path)], how, False) == 1
    assert capsys.readouterr().out.splitlines() == [
        f"{path}: CSV with semicolons",
        "  column  becomes                                      filled  such as",
        "  id      event_id                                          4  1",
        "  what    event                                             4  buy",
        "  who     user_id                                           4  u1",
        "  when    ts                                                4  2026/11/20 9:00 → 2026-11-20 08:00:00 UTC",
        "    1 wrong, the first: '20.11.2026' may begin with the day or with the month: say it, like --time-format "
        "'%d.%m.%Y %H:%M'",
        "  amount  properties.amount (number)                        3  19,90 → 19.9",
        "    2 wrong, the first: input should be a valid number, found 'much'",
        "  colour  properties.colour (in no event of the plan)       1  red",
        f"{path} line 3: wrong_type: properties.amount: input should be a valid number, found 'much'",
        f"{path} line 4: '20.11.2026' may begin with the day or with the month: say it, like --time-format "
        "'%d.%m.%Y %H:%M'",
        f"{path} line 5: properties.amount: '1.299' is 1299 or 1.299: say --decimal . or --decimal ,",
        "2 events would be sent: 1 as the plan says, 1 to be rejected (1 wrong_type)",
        "2 lines are no events",
    ]
    # Nothing was sent: there is no broker.
    done = command("send", "--dry-run", str(path), "--kafka", "127.0.0.1:1", "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["bad_lines"] == 4


def test_a_dry_run_of_an_import_needs_no_database(tmp_path: Path) -> None:
    path = tmp_path / "spend.csv"
    path.write_text("Tag;channel;amount;note\n01.11.2026;ads;1.299,50;x\n02.11.2026;ads;-3;\n")
    done = command(
        "import", "spend", str(path), "--map", "day=Tag", "--drop", "--time-format", "%d.%m.%Y", "--dry-run",
        "--clickhouse", "http://127.0.0.1:1",
    )  # fmt: skip
    assert done.stdout.splitlines() == [
        f"{path}: CSV with semicolons",
        "  column   becomes   filled  such as",
        "  Tag      day            2  01.11.2026 → 2026-11-01",
        "  channel  channel        2  ads",
        "  amount   amount         2  1.299,50 → 1299.50",
        "    1 wrong, the first: input should be greater than or equal to 0, found '-3'",
        "  note     left out       1  x",
        "1 rows of spend would be imported, 1 are wrong",
    ]
    assert done.stderr.splitlines() == [
        f"{path} line 3: amount: input should be greater than or equal to 0, found '-3'"
    ]
    assert done.returncode == 1


def test_check_judges_a_table_with_a_mapping(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("who,what,when\nu1,share,2026-11-20 10:00\nu2,shout,2026-11-20 10:00\nu3,share,never\n")
    done = command("check", str(path), "--plan", "shop", "--map", "user_id=who,event=what,ts=when")
    lines = done.stdout.splitlines()
    assert lines[0] == (
        "line 4: bad_line: 'never' is not a time: epoch seconds or milliseconds, or like 2026-10-01 12:00:00, or say "
        "--time-format"
    ) or lines[0].startswith("line 3: unknown_event: the plan has no event 'shout'")
    assert sorted(line.split(":")[0] for line in lines[:2]) == ["line 3", "line 4"]
    assert lines[2] == "3 lines (CSV with commas): 1 valid, 2 not"
    assert done.returncode == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--encoding", "klingon"], "--encoding 'klingon' is not known: write utf-8, utf-16, latin-1, cp1252, gbk"),
        (["--encoding", "rot13"], "--encoding 'rot13' is not known"),
        (["--encoding", "hex"], "--encoding 'hex' is not known"),
        (["--separator", "||"], "--separator '||': give one character, or tab"),
        (["--decimal", "x"], "--decimal 'x': give . or ,"),
        (["--time-format", "%H:%M"], "--time-format '%H:%M' names no day of a year: write it like %d.%m.%Y %H:%M:%S"),
        (["--time-format", "%Q"], "--time-format '%Q' is not understood"),
    ],
)
def test_options_that_make_no_sense_are_told(arguments: list[str], says: str) -> None:
    done = command("check", "none.csv", *arguments)
    assert done.returncode == 2
    assert done.stderr.startswith(f"streamgauge: {says}")
    assert done.stderr.count("\n") == 1
