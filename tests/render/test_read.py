"""English sentences that are known by their form: why records were rejected, as it is stored, and what pydantic says."""

from __future__ import annotations

import ast
import errno
import os
from collections.abc import Iterator
from typing import Final

import pytest
from pydantic_core._pydantic_core import list_all_errors
from whole_system import ROOT

from pipeline.errors import UserError
from pipeline.ingest.validate import Rejection, Validator
from pipeline.render.language import READ, Language, words
from schemas.plan_io import PlanError, parse_plan
from schemas.translatable import Foreign, Sentence

#: Where a record's reason is made: reason and detail.
MADE: Final = ("Rejection", "Refused", "Undecodable")
#: Details that another program says, or that stand in a variable.
UNKNOWN: Final = {"{}: {}", "{}", "{}: PARTITION:OFFSET:PART"}
PLAN: Final = parse_plan(
    """\
product: x
unknown_properties: reject
events:
  view:
  buy:
    value: amount
    properties:
      amount: number!
      method: {type: string, enum: [card, cash]}
      code: {type: string, pattern: "^[A-Z]{3}$"}
      n: {type: integer, max: 5}
      at: timestamp
"""
)
EVENT: Final = '{"event_id":"1","event":"%s","ts":1790000000000,"user_id":"u"%s}'


def detail_of(record: str | bytes | None) -> str:
    with pytest.raises(Rejection) as why:
        Validator(PLAN).parse(record.encode() if isinstance(record, str) else record)
    return why.value.detail


@pytest.mark.parametrize(
    ("record", "english", "chinese"),
    [
        (None, "a record without a value (a tombstone) is not an event", "没有内容的记录（墓碑）不是事件"),
        ('{"event"', "expected `:` at line 1 column 8", None),
        ("[1]", "an event is a JSON object", "事件应为 JSON 对象"),
        (b"\xff", "byte 0 is not UTF-8", "第 0 个字节起不是 UTF-8"),
        (EVENT % ("bye", ""), "the plan has no event 'bye'; it has buy, view", "方案里没有事件 'bye'；已有 buy, view"),
        (EVENT % ("buy", ""), "properties: is missing", "properties：缺失"),
        (EVENT % ("view", ',"colour":1'), "colour: is not in the plan (own data goes under properties, declared in the plan)", "colour：不在方案中（自有数据请放在 properties 下，并在方案中声明）"),
        (EVENT % ("buy", ',"properties":{"amount":"9","method":"gift","n":6}'),
         "properties.amount: input should be a valid number, found '9'; properties.method: input should be 'card' or 'cash', found 'gift'; properties.n: input should be less than or equal to 5, found 6",
         "properties.amount：应为数字，现为 '9'；properties.method：只能是 'card' or 'cash'，现为 'gift'；properties.n：不能大于 5，现为 6"),
        (EVENT % ("buy", ',"properties":{"amount":9,"code":"a; b: is missing"}'), "properties.code: does not match the plan's pattern ^[A-Z]{3}$", "properties.code：不符合方案的正则表达式 ^[A-Z]{3}$"),
        (EVENT % ("buy", ',"properties":{"amount":"a; b, found c"}'), "properties.amount: input should be a valid number, found 'a; b, found c'", "properties.amount：应为数字，现为 'a; b, found c'"),
        (EVENT % ("buy", ',"properties":{"amount":1,"at":"2026-11-01"}'), "properties.at: input should be an RFC 3339 time with a zone, found '2026-11-01'", "properties.at：应为带时区的 RFC 3339 时间，现为 '2026-11-01'"),
        (EVENT.replace("1790000000000", "1790000000") % ("view", ""), "ts 1790000000 lies before the year 2000 (seconds? send milliseconds)", "ts 1790000000 早于 2000 年（是不是传成了秒？请传毫秒）"),
        (EVENT.replace('"u"', '"null"') % ("view", ""), "user_id 'null' is nobody's: leave it out where there is no id", "user_id 'null' 不代表任何人：没有 ID 时请不要传"),
    ],
)  # fmt: skip
def test_why_a_record_was_rejected(record: str | bytes | None, english: str, chinese: str | None) -> None:
    said = detail_of(record)
    if chinese is not None:
        assert said == english
        assert Language("zh").read(said) == chinese
    assert Language("en").read(said) == said


@pytest.mark.parametrize(
    "text",
    ["", "of a kind that nobody knows", "a: b: c", "x, found y", ": " * 300, "; " * 300, "a: is missin", "0 {places} {0} {}", "a\n: is"],
)  # fmt: skip
def test_what_has_no_form_stays_as_it_is(text: str) -> None:
    assert Language("zh").read(text) == text


def test_a_text_that_is_longer_than_any_of_ours_is_not_looked_at() -> None:
    t, long = Language("zh"), "a" * 588
    assert t.read(f"{long}: is missing") == f"{long}：缺失"
    assert t.read(f"a{long}: is missing") == f"a{long}: is missing"
    for text in (" " * 100_000, ": " * 50_000, ", found " * 10_000):
        assert t.read(text) == text


def test_a_part_that_has_no_form_stays_among_those_that_have_one() -> None:
    assert Language("zh").read("a: is missing; what else; b: is missing") == "a：缺失; what else；b：缺失"
    assert Language("zh").said(Foreign("Field required")) == "必填"
    assert Language("zh").said(Sentence("{place}: {why}", place="x", why=Foreign("Field required"))) == "x：必填"


def test_json_that_is_none_says_where() -> None:
    assert Language("zh").read("expected `:` at line 1 column 8") == "第 1 行第 8 列：缺少冒号"
    for record in (
        '{"a":1,}',
        '{"a" 1}',
        "{1:1}",
        "{",
        "[1 2]",
        '{"a":tru}',
        '{"a":"\n"}',
        '{"a":"\\x"}',
        '{"a":01}',
        "{}x",
    ):
        said = detail_of(record)
        assert Language("zh").read(said).startswith("第 1 行第 " if "\n" not in record else "第 2 行第 "), said


def made() -> Iterator[tuple[str, str]]:
    """File and text of every reason that stands where it is made, `{}` for each value in it."""
    for file in sorted((ROOT / "pipeline").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            match node:
                case ast.Call(ast.Name(name), [_, detail, *_]) if name in MADE:
                    pass
                case ast.Call(ast.Name("unsupported"), [_, detail]):
                    pass
                case ast.Call(ast.Name("ValueError" | "CodingError"), [detail]) if (
                    "/ingest/" in str(file) or file.name == "codings.py"
                ):
                    pass
                case _:
                    continue
            if isinstance(detail, ast.Constant):
                yield file.name, str(detail.value)
            elif isinstance(detail, ast.JoinedStr):
                yield (
                    file.name,
                    "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in detail.values),
                )


def test_every_reason_is_said_in_chinese() -> None:
    found = [(file, text) for file, text in made() if text not in UNKNOWN]
    assert len(found) > 40
    t = Language("zh")
    assert [
        one for one in found if all(t.read(said) == said for said in (one[1].replace("{}", v) for v in ("1", "")))
    ] == []


def test_what_pydantic_says_is_in_its_words() -> None:
    theirs = {
        one[key]
        for one in list_all_errors()
        for key in ("message_template_python", "message_template_json")
        if key in one
    }
    known = {key.removeprefix(READ) for key in words("zh").texts if key.startswith(READ)}
    assert len(known & theirs) >= 25
    ours = {
        text
        for text in known
        if text.startswith(("Input should", "String should", "Field", "Extra inputs", "{field_type}"))
    } - theirs
    assert ours == {"Input should be a text, a number, true or false", "Input should be one of {allowed}"}


def test_what_the_system_refuses_is_said_in_chinese() -> None:
    refused = (errno.ENOENT, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG,
               errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EMFILE, errno.EPIPE, errno.EADDRINUSE,
               errno.EADDRNOTAVAIL)  # fmt: skip
    t = Language("zh")
    assert [number for number in refused if t.read(os.strerror(number)).isascii()] == []
    error = UserError("{path} can't be read: {why}", path="a", why=Foreign(os.strerror(errno.ENOENT)))
    assert (str(error), t.said(error)) == ("a can't be read: No such file or directory", "a 无法读取：文件或目录不存在")


def test_a_mistake_of_a_plan() -> None:
    with pytest.raises(PlanError) as found:
        parse_plan(
            "product: x\nlateness: soon\nevents:\n  a: {vaule: n, properties: {p: {enum: [1]}}}\nfunnels:\n  f: {steps: []}\n"
        )
    assert Language("zh").said(found.value).split("\n") == [
        "plan：第 2 行：lateness：'soon' 不是时长：请写成 30s、15m、1h30m 或 7d",
        'plan：第 4 行：events.a.properties.p：enum：1 不是 string 类型，请声明正确的类型。如果是文本，请加引号："1"',
        "plan：第 4 行：events.a.vaule：方案的这个位置没有这一项",
        "plan：第 6 行：funnels.f.steps：至少应有 1 项，现有 0 项",
    ]
