"""Reading event files: formats, mappings, times, identities, and errors that name the line."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from pipeline.errors import UserError
from pipeline.files.mapping import ColumnMapping, parse_mapping
from pipeline.files.reader import BadLineError, Reading, read_events, zone_of
from schemas.plan_io import load_plan

EVENT = {"event_id": "e1", "event": "app_open", "user_id": "u1", "ts": 1_790_812_800_000}
CSV = """user_id,session_id,event,timestamp,platform,acquisition_channel,cohort
user_0000,s1,home,2024-03-13 10:21:14,desktop,email,2024-01
user_0001,s2,catalog,2024-03-13 10:22:12,tablet,,2024-02
"""
MAP = "user_id=user_id,event=event,ts=timestamp,session_id=session_id,platform=platform,channel=acquisition_channel"


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def to_file(name: str, content: str | bytes) -> str:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return to_file


def events(source: str, **reading: Any) -> list[dict[str, Any]]:
    return [json.loads(line.value) for line in read_events(source, Reading(**reading))]


def problem(source: str, **reading: Any) -> str:
    with pytest.raises(BadLineError) as caught:
        list(read_events(source, Reading(**reading)))
    return str(caught.value).removeprefix(source)


def test_events_that_are_right_stay_byte_for_byte(write: Any) -> None:
    lines = [json.dumps(EVENT).encode(), json.dumps({**EVENT, "anonymous_id": "ä"}, indent=None).encode()]
    found = list(read_events(write("a.jsonl", b"\n".join(lines))))
    assert [(f.number, f.key, f.value) for f in found] == [(1, b"u1", lines[0]), (2, b"u1", lines[1])]


def test_blank_lines_windows_ends_and_a_byte_order_mark_are_no_matter(write: Any) -> None:
    line = json.dumps(EVENT).encode()
    found = list(read_events(write("a.jsonl", b"\xef\xbb\xbf" + line + b"\r\n\r\n  \n" + line)))
    assert [(f.number, f.value) for f in found] == [(1, line), (4, line)]


def test_gzip_is_known_by_its_first_bytes(write: Any) -> None:
    packed = gzip.compress(json.dumps(EVENT).encode())
    assert events(write("a.jsonl.gz", packed)) == [EVENT]
    assert events(write("a.jsonl", packed)) == [EVENT]


def test_standard_input() -> None:
    program = "from pipeline.files.reader import *\nfor x in read_events('-'): print(x.number, x.key)"
    for data in (json.dumps(EVENT).encode(), gzip.compress(json.dumps(EVENT).encode())):
        run = subprocess.run([sys.executable, "-c", program], input=data, capture_output=True, check=True)
        assert run.stdout == b"1 b'u1'\n"


def test_csv_with_a_mapping(write: Any) -> None:
    found = events(write("a.csv", CSV), mapping=parse_mapping(MAP))
    assert [{k: v for k, v in e.items() if k != "event_id"} for e in found] == [
        {
            "user_id": "user_0000",
            "session_id": "s1",
            "event": "home",
            "ts": 1_710_325_274_000,
            "platform": "desktop",
            "channel": "email",
            "properties": {"cohort": "2024-01"},
        },
        {
            "user_id": "user_0001",
            "session_id": "s2",
            "event": "catalog",
            "ts": 1_710_325_332_000,
            "platform": "tablet",  # an empty cell is no channel
            "properties": {"cohort": "2024-02"},
        },
    ]


def test_columns_with_names_of_the_envelope_stand_for_themselves(write: Any) -> None:
    short = events(write("a.csv", CSV), mapping=parse_mapping("ts=timestamp,channel=acquisition_channel"))
    assert short == events(write("a.csv", CSV), mapping=parse_mapping(MAP))


def test_columns_that_are_not_mapped_can_be_dropped(write: Any) -> None:
    mapping = parse_mapping("user_id=user_id,event=event,ts=timestamp", drop=True)
    found = events(write("a.csv", CSV), mapping=mapping)
    assert sorted(found[0]) == ["event", "event_id", "ts", "user_id"]


def test_constants_and_properties_in_a_mapping(write: Any) -> None:
    mapping = parse_mapping("user_id=who, event=what, ts='2024-01-01', country='DE', properties.note='a, b'")
    (found,) = events(write("a.csv", "who,what\n17,home\n"), mapping=mapping)
    del found["event_id"]
    assert found == {
        "user_id": "17",
        "event": "home",
        "ts": 1_704_067_200_000,
        "country": "DE",
        "properties": {"note": "a, b"},
    }


def test_json_lines_of_others_with_a_mapping(write: Any) -> None:
    row = {"uid": 42, "name": "home", "at": 1_710_325_274.5, "page": {"path": "/"}, "user": None}
    mapping = parse_mapping("user_id=uid,event=name,ts=at")
    (found,) = events(write("a.jsonl", json.dumps(row)), mapping=mapping)
    del found["event_id"]
    assert found == {
        "user_id": "42",
        "event": "home",
        "ts": 1_710_325_274_500,
        "properties": {"page": {"path": "/"}},
    }


def test_csv_cells_become_what_the_plan_says(write: Any) -> None:
    text = (
        "event_id,event,user_id,ts,order_id,amount,items,coupon\n"
        "1,purchase,u,1790812800000,77,19.90,2,\n"
        "2,purchase,u,1790812800000,78,much,2.5,X\n"
    )
    found = events(write("a.csv", text), plan=load_plan("shop"))
    assert [e["properties"] for e in found] == [
        {"order_id": "77", "amount": 19.9, "items": 2},
        # What doesn't fit is left for the validator to refuse.
        {"order_id": "78", "amount": "much", "items": "2.5", "coupon": "X"},
    ]


@pytest.mark.parametrize(
    ("text", "zone", "expected"),
    [
        ("1710325274", "UTC", 1_710_325_274_000),
        ("1710325274123", "UTC", 1_710_325_274_123),
        ("1710325274.25", "UTC", 1_710_325_274_250),
        ("2024-03-13 10:21:14", "UTC", 1_710_325_274_000),
        ("2024-03-13 10:21:14", "Europe/Berlin", 1_710_321_674_000),
        ("2024-03-13T10:21:14.999999", "Asia/Shanghai", 1_710_296_474_999),
        ("2024-03-13T10:21:14Z", "Asia/Shanghai", 1_710_325_274_000),
        ("2024-03-13T10:21:14+02:00", "UTC", 1_710_318_074_000),
        ("2024-03-13", "UTC", 1_710_288_000_000),
    ],
)
def test_times(write: Any, text: str, zone: str, expected: int) -> None:
    source = write("a.csv", f"user_id,event,ts\nu,home,{text}\n")
    assert events(source, zone=ZoneInfo(zone))[0]["ts"] == expected


@pytest.mark.parametrize("ts", [1_710_325_274, 1_710_325_274_000, 1_710_325_274.0, "2024-03-13 10:21:14"])
def test_times_in_json(write: Any, ts: Any) -> None:
    assert events(write("a.jsonl", json.dumps({**EVENT, "ts": ts})))[0]["ts"] == 1_710_325_274_000


def test_sending_a_file_twice_gives_the_same_ids_and_every_line_its_own(write: Any) -> None:
    twice = CSV + CSV.splitlines()[1] + "\n"  # two lines that say the same are two events
    ids = [e["event_id"] for e in events(write("a.csv", twice), mapping=parse_mapping(MAP))]
    assert len(set(ids)) == 3
    again = write("other-name.csv.gz", gzip.compress(twice.encode()))
    assert [e["event_id"] for e in events(again, mapping=parse_mapping(MAP))] == ids
    changed = twice.replace("desktop", "phone", 1)
    other = [e["event_id"] for e in events(write("a.csv", changed), mapping=parse_mapping(MAP))]
    assert (other[0] == ids[0], other[1:] == ids[1:]) == (False, True)


def test_quotes_and_newlines_in_cells(write: Any) -> None:
    text = 'user_id,event,ts,note\nu,home,1710325274,"two\nlines, ""quoted"""\nu,home,1710325275,x\n'
    found = list(read_events(write("a.csv", text)))
    assert [f.number for f in found] == [3, 4]
    assert json.loads(found[0].value)["properties"] == {"note": 'two\nlines, "quoted"'}


def test_tabs(write: Any) -> None:
    assert events(write("a.tsv", "user_id\tevent\tts\nu,1\thome\t1710325274\n"))[0]["user_id"] == "u,1"


@pytest.mark.parametrize("name", ["a.txt", "a"])
def test_the_format_of_other_names_is_seen_from_the_first_character(write: Any, name: str) -> None:
    assert events(write(name, json.dumps(EVENT))) == [EVENT]
    assert events(write(name, "user_id,event,ts\nu,home,1710325274\n"))[0]["event"] == "home"


BAD_JSON = {
    "{": "not JSON",
    '["a"]': "not a JSON object",
    '{"event":"a","user_id":"u"}': "it has no time: name its column with --map ts=COLUMN",
    '{"event":"a","ts":1710325274}': "it has no actor: name its column with --map user_id=COLUMN",
    '{"event":"a","user_id":5,"ts":1710325274}': "its actor is not text: 5",
    '{"event":"a","user_id":"u","ts":"soon"}': "'soon' is not a time",
    '{"event":"a","user_id":"u","ts":true}': "True is not a time",
    '{"event":"a","user_id":"u","ts":NaN}': "nan is not a time",
    '{"event":"a","user_id":"u","ts":1e400}': "inf is not a time",
    '{"event":"a","user_id":"\\ud83d","ts":1710325274}': "it has half of a character",
    "[" * 100_000: "not JSON",
}


@pytest.mark.parametrize("line", BAD_JSON, ids=lambda line: line[:30])
def test_a_bad_json_line_is_named(write: Any, line: str) -> None:
    source = write("a.jsonl", json.dumps(EVENT) + "\n\n" + line + "\n")
    assert problem(source).startswith(f" line 3: {BAD_JSON[line]}")


def test_bytes_that_are_not_utf8_are_named(write: Any) -> None:
    assert problem(write("a.jsonl", b'{"a":"\xff"}')) == " line 1: not UTF-8 ('ÿ' in cp1252?): say --encoding"
    source = write("a.csv", b"user_id,event,ts\nu,M\xfcllb\xe4r,1710325274\n")
    assert problem(source) == (" line 2: not UTF-8 ('Müllbär' in cp1252 or 'M黮lb鋜' in gb18030?): say --encoding")


BAD_CSV = {
    "u,home": "2 cells, where the header has 3",
    "u,home,1,2": "4 cells, where the header has 3",
    "u,home,never": "'never' is not a time",
    ",home,1710325274": "it has no actor",
    'u,"ho"me,1710325274': "not CSV",
    "u," + "x" * 140_000 + ",1710325274": "not CSV: field larger than",
}


@pytest.mark.parametrize("line", BAD_CSV, ids=lambda line: line[:30])
def test_a_bad_csv_line_is_named(write: Any, line: str) -> None:
    source = write("a.csv", "user_id,event,ts\nu,home,1710325274\n" + line + "\nu,home,1710325275\n")
    assert problem(source).startswith(f" line 3: {BAD_CSV[line]}")


def test_a_missing_column_and_a_column_twice_are_named(write: Any) -> None:
    source = write("a.csv", CSV)
    found = problem(source, mapping=parse_mapping("ts=time"))
    assert found.startswith(" line 2: there is no column 'time'; it has user_id, session_id, event")
    assert problem(write("b.csv", "a,b,a\n1,2,3\n")) == " line 1: the header names a column twice"


def test_bad_lines_can_be_left_out(write: Any) -> None:
    good = json.dumps(EVENT)
    source = write("a.jsonl", f"{good}\n{{\n{good}\n[]\n")
    bad: list[BadLineError] = []
    assert [line.number for line in read_events(source, on_bad=bad.append)] == [1, 3]
    assert [(b.number, b.problem[:8]) for b in bad] == [(2, "not JSON"), (4, "not a JS")]


def test_a_line_beyond_all_bounds_is_left_behind(write: Any) -> None:
    good = json.dumps(EVENT).encode()
    source = write("a.jsonl", good + b"\n" + b'"' + b"x" * 5_000_000 + b'"\n' + good)
    bad: list[BadLineError] = []
    assert [line.number for line in read_events(source, on_bad=bad.append)] == [1, 3]
    assert [str(b).split(": ")[1] for b in bad] == ["longer than 1000000 bytes"]


def test_files_that_cannot_be_read(write: Any, tmp_path: Path) -> None:
    for source, words in [
        (str(tmp_path / "none.csv"), "No such file"),
        (str(tmp_path), "Is a directory"),
        (write("cut.gz", gzip.compress(b"x" * 5000)[:-9]), "damaged gzip"),
        (write("bad.gz", gzip.compress(json.dumps(EVENT).encode() * 99)[:40] + b"\0" * 99), "damaged gzip"),
    ]:
        with pytest.raises(UserError, match=words):
            list(read_events(source))


def test_an_empty_file_has_no_events(write: Any) -> None:
    with pytest.raises(UserError, match=r"a\.csv is empty$"):
        list(read_events(write("a.csv", "")))
    assert list(read_events(write("b.csv", "user_id,event,ts\n"))) == []


def test_memory_stays_constant(write: Any) -> None:
    line = json.dumps({**EVENT, "properties": {"text": "x" * 200}}) + "\n"
    source = write("a.jsonl.gz", gzip.compress(line.encode() * 20_000, 1))
    tracemalloc.start()
    try:
        assert sum(1 for _ in read_events(source)) == 20_000
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("user=uid", "an event has no field 'user'"),
        ("ts=a,ts=b", "ts is given twice"),
        ("ts", "'ts' is not understood"),
        ("ts=", "'ts=' is not understood"),
        ("ts=a,,event=b", "',event=b' is not understood"),
        ("country='DE", '"country=\'DE" is not understood'),
        ("properties.=x", "an event has no field 'properties.'"),
    ],
)
def test_mappings_that_are_wrong(text: str, words: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_mapping(text)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_mapping_says_what_it_read() -> None:
    assert parse_mapping(" user_id = uid , properties.a b=x y,country='D, E' ") == ColumnMapping(
        {"user_id": "uid", "properties.a b": "x y"}, {"country": "D, E"}
    )
    assert parse_mapping("") == ColumnMapping()


def test_a_wrong_zone_is_named() -> None:
    assert zone_of("Europe/Berlin") == ZoneInfo("Europe/Berlin")
    with pytest.raises(UserError, match="'Mars/Base' is not a time zone"):
        zone_of("Mars/Base")
