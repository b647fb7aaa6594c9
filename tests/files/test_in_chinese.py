"""What `check`, `send --dry-run` and `import --dry-run` print for somebody who reads Chinese."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.files.command import check_file, preview_files
from pipeline.files.mapping import ColumnMapping
from pipeline.files.reader import Reading, read_events
from pipeline.files.side_tables import import_file
from pipeline.render.language import Language
from pipeline.settings import Settings
from schemas.plan_io import parse_plan
from schemas.translatable import TranslatableError

PLAN = parse_plan("product: x\nevents:\n  view: {}\n  buy:\n    value: amount\n    properties: {amount: number!}\n")
CHINESE = Language("zh")
EVENTS = """\
event,ts,user_id,amount,colour
view,2026-10-01 12:00:00,u1,,
buy,01.02.2025,u2,7,red
buy,2026-10-01 12:00:00,u2,"1,299",red
buy,2026-10-01 12:00:00,,3
"""


def test_a_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(
        '{"event":"view","ts":1790000000000,"user_id":"u","event_id":"1"}\n{"event" 1}\n[1]\n'
        '{"event":"bye","ts":1790000000000,"user_id":"u","event_id":"1"}\n{"event":"view"}\n'
    )
    assert check_file(PLAN, str(path), False, None, CHINESE) == 1
    assert capsys.readouterr().out.splitlines() == [
        "第 2 行：invalid_json：第 1 行第 10 列：缺少冒号",
        "第 3 行：not_an_object：事件应为 JSON 对象",
        "第 4 行：unknown_event：方案里没有事件 'bye'；已有 buy, view",
        "第 5 行：missing_field：event_id：缺失；ts：缺失",
        "5 行：1 行合格，4 行不合格",
        "  被拒：invalid_json 1、not_an_object 1、unknown_event 1、missing_field 1",
        "  事件：view 1",
        "  2026-09-21 14:13:20 至 2026-09-21 14:13:20（UTC）",
    ]


def test_a_dry_run_of_send(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.csv").write_text(EVENTS)
    assert preview_files(PLAN, ["a.csv"], Reading(plan=PLAN), False, CHINESE) == 1
    assert capsys.readouterr().out.splitlines() == [
        "a.csv：CSV（逗号分隔）",
        "  列       对应字段                                       非空  示例",
        "  event    event                                             3  view",
        "  ts       ts                                                3  2026-10-01 12:00:00 → 2026-10-01 12:00:00 UTC",
        "    1 个有误，第一个：'01.02.2025' 无法区分日和月的先后：请用 --time-format 指定，如 --time-format '%d.%m.%Y %H:%M'",
        "  user_id  user_id                                           3  u1",
        "  amount   properties.amount（number）                       2  7",
        "    1 个有误，第一个：'1,299' 可能是 1299 或 1.299：请用 --decimal . 或 --decimal , 指定小数点",
        "  colour   properties.colour（方案的事件都没有这个属性）     2  red",
        "a.csv 第 3 行：'01.02.2025' 无法区分日和月的先后：请用 --time-format 指定，如 --time-format '%d.%m.%Y %H:%M'",
        "a.csv 第 4 行：properties.amount：'1,299' 可能是 1299 或 1.299：请用 --decimal . 或 --decimal , 指定小数点",
        "a.csv 第 5 行：有 4 个单元格，而表头有 5 列",
        "将发送 1 个事件：1 个符合方案，0 个会被拒",
        "3 行不是事件",
    ]


async def test_a_dry_run_of_import(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("s.csv").write_text(
        "day,channel,amount\n2026-11-01,ads,12.5\n2026-13-01,ads,x\n,ads,1.299\n2026-11-01,ads,3\n"
    )
    assert await import_file(Settings(), "spend", "s.csv", None, False, dry_run=True, t=CHINESE) == 1
    printed = capsys.readouterr()
    assert printed.out.splitlines() == [
        "s.csv：CSV（逗号分隔）",
        "  列       对应字段  非空  示例",
        "  day      day          3  2026-11-01",
        "    2 个有误，第一个：应为日期，如 2026-11-01，现为 '2026-13-01'",
        "  channel  channel      4  ads",
        "  amount   amount       4  12.5",
        "    1 个有误，第一个：应为数字，现为 'x'",
        "将导入 spend 1 行，3 行有误",
    ]
    assert printed.err.splitlines() == [
        "s.csv 第 3 行：day：应为日期，如 2026-11-01，现为 '2026-13-01'；amount：应为数字，现为 'x'",
        "s.csv 第 4 行：day：缺失",
        "s.csv 第 5 行：day, channel, campaign 与第 2 行重复",
    ]


@pytest.mark.parametrize(
    ("text", "english", "chinese"),
    [
        ('{"a":1}\n{"a" 1}\n', "line 1: it has no time: name its column with --map ts=COLUMN", "第 1 行：没有时间：请用 --map ts=列名 指定"),
        ('[{"event":"view","ts":1790000000,"user_id":"u"} {}]', "item 2: no comma in line 1; nothing from here on is read", "第 2 项：第 1 行缺少逗号；此后的内容不再读取"),
        ('{"event" 1}\n{"a":1}\n', "line 1: not JSON: Expecting ':' delimiter: line 1 column 10 (char 9)", "第 1 行：不是 JSON：第 10 个字符处缺少冒号"),
        ("event,ts\nview,\"x\n", 'line 2: a quote opens here and is not closed: write "" for a quote in a cell', '第 2 行：此处的引号没有闭合：单元格里的引号请写成 ""'),
        ("event,event\n1,2\n", "line 1: the header names a column twice", "第 1 行：表头中有列名重复"),
        ("event,ts\nview,soon\n", "line 2: 'soon' is not a time: epoch seconds or milliseconds, or like 2026-10-01 12:00:00, or say --time-format", "第 2 行：'soon' 不是时间：请用秒或毫秒时间戳、2026-10-01 12:00:00 的形式，或用 --time-format 指定格式"),
        (b"event,ts\n\xb1\xb1\xbe\xa9,1\n", "line 2: not UTF-8 ('±±¾©' in cp1252 or '北京' in gb18030?): say --encoding", "第 2 行：不是 UTF-8（按 cp1252 读作 '±±¾©' 或 按 gb18030 读作 '北京'？）：请用 --encoding 指定编码"),
    ],
)  # fmt: skip
def test_why_a_line_is_no_event(
    text: str | bytes, english: str, chinese: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(TranslatableError) as found:
        list(read_events("a", Reading(mapping=None, plan=PLAN)))
    assert str(found.value) == f"a {english}"
    assert CHINESE.said(found.value) == f"a {chinese}"


def test_a_column_that_a_mapping_names_and_the_file_has_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.csv").write_text(EVENTS)
    with pytest.raises(TranslatableError) as found:
        list(read_events("a.csv", Reading(mapping=ColumnMapping({"user_id": "uid"}))))
    assert CHINESE.said(found.value) == "a.csv 第 2 行：没有列 'uid'；现有列：event, ts, user_id, amount, colour"
