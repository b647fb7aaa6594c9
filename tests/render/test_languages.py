"""The tables of the languages: whatever is said is in them, and nothing else."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from datetime import date
from functools import cache
from pathlib import Path
from string import Formatter
from typing import Final

import pytest
from help_texts import help_keys
from whole_system import ROOT

from pipeline.alerts import texts as alerts
from pipeline.assistants import definitions
from pipeline.dashboard.navigation import TASKS
from pipeline.dashboard.pages import PAGES, builders, events, explore, kept, scorecard
from pipeline.demo.run import COUNTED
from pipeline.doctor import words as doctor
from pipeline.doctor.model import SUBJECTS
from pipeline.errors import UserError
from pipeline.explore import filters, question
from pipeline.explore.lifecycle import STATES
from pipeline.kept.things import KINDS
from pipeline.metrics import GROUPS, metrics
from pipeline.render import language, metric
from pipeline.render.language import CODES, ENGLISH, Language, of_terminal, words
from schemas import names
from schemas.translatable import Term, TranslatableValueError

OTHERS: Final = [code for code in CODES if code != ENGLISH]
CHINESE: Final = re.compile(r"[\u3000-\u9fff\uff00-\uffef]")
#: Words of the field or of the machine that Chinese people write as they are.
AS_THEY_ARE: Final = ("ID", "P90", "P95", "P99", "LTV", "CAC", "NPS", "ROI", "UV", "PV", "K")
#: Errors that carry their text.
ERRORS: Final = ("UserError", "DependencyError", "AnotherTopicError", "TranslatableValueError", "Sentence")
#: The room whose errors are in English: they are said to assistants, in their protocol.
IN_ENGLISH: Final = "assistants/"
#: Where an error is made of another one, or of what pydantic says.
OF_OTHERS: Final = {
    "embedded/child.py": 1, "embedded/kafka/jars.py": 1, "errors.py": 1, "kept/things.py": 1, "schemas/alerts.py": 1,
    "schemas/names.py": 1, "schemas/translatable.py": 1,
}  # fmt: skip
#: Rooms that print for people, and what they print with.
PRINTING: Final = ("cli/", "files/", "replay/", "simulate/", "demo/")
PRINT: Final = ("say", "_say", "tell", "say_lines", "notify", "progress_bar", "add_column", "prompt", "_fail", "_table")
#: What is printed that is no text: names, what is to be typed, a style.
CODE: Final = ("bold", "streamgauge: ", "  export PIPELINE_", "READY=1", "STATUS=", "STOPPING=1")
#: Chinese in the code that is no text of ours: what others send, names and files in Chinese, tools of both languages.
NO_TEXTS: Final = {
    "collect/enrich/channel.py", "collect/enrich/place.py", "collect/protocols/sensors.py", "metrics/spreadsheet.py",
    "files/times.py", "simulate/world.py", "alerts/message.py", "assistants/tools.py",
}  # fmt: skip


@cache
def parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text("utf-8"))


def modules() -> Iterator[tuple[str, ast.Module]]:
    for file in sorted((ROOT / "pipeline").rglob("*.py")):
        yield str(file.relative_to(ROOT / "pipeline")), parsed(file)


def literals(node: ast.expr) -> list[str]:
    """The texts that an expression can be, as far as they stand in it."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [node.value]
    return literals(node.body) + literals(node.orelse) if isinstance(node, ast.IfExp) else []


def said() -> Iterator[tuple[str, set[str], str]]:
    """Key, names of the values that are given, and file of each text that stands where it is said."""
    for file, tree in modules():
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            match node.func:
                case ast.Attribute(ast.Name("t" | "self") | ast.Attribute(attr="t"), "of") if len(node.args) == 2:
                    keys = [
                        f"{meaning}|{text}" for meaning in literals(node.args[0]) for text in literals(node.args[1])
                    ]
                case ast.Name("t") | ast.Attribute(attr="t"):
                    keys = literals(node.args[0])
                case ast.Name("self") if file == "render/language.py":
                    keys = literals(node.args[0])
                case _:
                    continue
            for key in keys:
                yield key, {keyword.arg or "" for keyword in node.keywords}, file


def raised() -> Iterator[tuple[str, ast.Call, list[str]]]:
    """File, call and texts of every error that is made in a room whose errors people read in their language."""
    files = [*(ROOT / "pipeline").rglob("*.py"), *(ROOT / "schemas").rglob("*.py")]
    for file in sorted(files):
        name = str(file.relative_to(ROOT)).removeprefix("pipeline/")
        for node in ast.walk(parsed(file)):
            match node:
                case ast.Call(ast.Name("_at"), [_, text]) if name == "schemas/alerts.py":
                    yield name, node, literals(text)
                case ast.Call(ast.Attribute(ast.Call(ast.Name("super")), "__init__"), [ast.Constant(str()) as text]):
                    yield name, node, literals(text)
                case ast.Call(ast.Name(error), [text]) if error in ERRORS and not name.startswith(IN_ENGLISH):
                    yield name, node, literals(text)


def from_lists() -> set[str]:
    """Keys of the texts that stand in lists, and are said by name."""
    found = {definitions.PERSON, "dashboard", *scorecard.STAGE_NAMES.values(), *language.WEEKDAYS}
    found |= {text for _, text in language.UNITS}
    found |= {f"column|{name}" for name in columns()}
    found |= {f"said|{text}" for _, _, texts in raised() for text in texts}
    found |= {f"said|{text}" for text in (*names.REFUSED.values(),)}
    found |= {key for key in words("zh").texts if key.startswith(language.READ)}  # test_read.py
    found |= help_keys()
    found |= {f"metric|{text}" for one in metrics().values() for text in one.texts}
    for meaning, texts in (
        ("page", [page.name for page in PAGES]), ("task", [task for task, _ in TASKS]), ("subject", SUBJECTS), ("state", STATES),
        ("question", [*definitions.KINDS.values(), *(text for pair in explore.KINDS.values() for text in pair)]),
        ("operator", filters.OPERATORS.values()), ("measure", question.MEASURES.values()), ("order", question.ORDER_NAMES.values()),
        ("against", builders.COMPARES.values()), ("grain", builders.GRAINS), ("period", builders.GRAINS),
        ("outcome", events.OUTCOMES.values()), *((name, of.values()) for name, of in metric.VALUES.items()), ("alert", alerts.WORDS.values()),
        ("happened", kept.HAPPENED), ("counted", COUNTED), ("kept", KINDS), ("page", ["Not stored"]),
        ("group", GROUPS.values()),
        ("severity", [*alerts.SEVERITIES.values(), *doctor.SEVERITIES.values()]),
    ):  # fmt: skip
        found |= {f"{meaning}|{text}" for text in texts}
    return found


def columns() -> set[str]:
    return {key.removeprefix("column|") for key in words("zh").texts if key.startswith("column|")}


@pytest.mark.parametrize("code", OTHERS)
def test_whatever_is_said_is_in_the_table_and_nothing_else_is(code: str) -> None:
    asked = {key for key, _, _ in said()} | from_lists()
    assert len(asked) > 1_000
    there = set(words(code).texts)
    assert asked - there == set()
    assert there - asked == set()


@pytest.mark.parametrize("code", OTHERS)
def test_a_text_has_no_place_for_what_it_is_not_given(code: str) -> None:
    texts = words(code).texts
    for key, given, file in said():
        if given:
            for text in (key.rpartition("|")[2] if key.count("|") == 1 else key, texts[key]):
                places = {name for _, name, _, _ in Formatter().parse(text) if name is not None}
                assert places <= given, (file, key)


def test_no_language_but_english_is_named_in_the_code() -> None:
    """So another one is a file: nothing has a list of them. Simulated users have languages, and Feishu names for its."""
    named = {
        file
        for file, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and node.value in OTHERS
    }
    assert named == {"simulate/world.py", "alerts/robots.py"}


def test_every_error_that_people_read_has_its_text_apart_from_its_values() -> None:
    others = Counter(file for file, _, texts in raised() if not texts)
    assert others == OF_OTHERS
    for file, call, texts in raised():
        given = {keyword.arg for keyword in call.keywords}
        for text in texts if given and None not in given else []:
            for said in (text, *(words(code).texts[f"said|{text}"] for code in OTHERS)):
                places = {name for _, name, _, _ in Formatter().parse(said) if name is not None}
                assert places <= given, (file, text)


def test_an_error_is_said_in_the_language_with_whatever_is_in_it() -> None:
    inner = TranslatableValueError("{text} is not a duration: write it like 30s, 15m, 1h30m or 7d", text="'x'")
    error = UserError("the time for all steps: {why}", why=inner)
    assert str(error) == "the time for all steps: 'x' is not a duration: write it like 30s, 15m, 1h30m or 7d"
    assert Language("en").said(error) == str(error)
    assert Language("zh").said(error) == "转化窗口：'x' 不是时长：请写成 30s、15m、1h30m 或 7d"
    gone = UserError("there is no such {kind} any more", kind=Term("kept", "board"))
    assert (str(gone), Language("zh").said(gone)) == ("there is no such board any more", "该看板已不存在")
    # What another program says stays as it says it, and a brace in a value is no place.
    assert Language("zh").said(OSError("no {space}")) == "no {space}"
    given = UserError("{field}: {value} is no number", field="{value}", value="{field}")
    assert Language("zh").said(given) == "{value}：{field} 不是数字"


@pytest.mark.parametrize(
    ("environ", "code"),
    [
        ({}, "en"), ({"LANG": "zh_CN.UTF-8"}, "zh"), ({"LANG": "zh_CN.UTF-8", "LC_ALL": "C"}, "en"), ({"LANG": "zh"}, "zh"),
        ({"LC_ALL": "", "LC_MESSAGES": "zh_TW", "LANG": "en_US.UTF-8"}, "zh"), ({"LANG": "de_DE.UTF-8"}, "en"),
        ({"LANG": "C.UTF-8"}, "en"), ({"LANG": "../zh"}, "en"), ({"LANG": "zhu_X"}, "en"),
    ],
)  # fmt: skip
def test_a_terminal_asks_for_its_language_as_posix_says(environ: dict[str, str], code: str) -> None:
    assert of_terminal(environ) == code


def unsaid(node: ast.AST) -> Iterator[str]:
    """The texts in what is printed that no language is asked for, without how numbers are written."""
    match node:
        case ast.Constant(str() as text):
            yield text
        case ast.FormattedValue(value):
            yield from unsaid(value)
        case ast.Call(ast.Name("cell"), [text, *_]):  # and its style
            yield from unsaid(text)
        case ast.Call(ast.Name("t" | "Sentence") | ast.Attribute(ast.Name("t"))) | ast.Subscript():
            return
        case _:
            for child in ast.iter_child_nodes(node):
                yield from unsaid(child)


def prints(node: ast.AST) -> bool:
    match node:
        case ast.Call(ast.Attribute(attr="print")):
            return True
        case ast.Call(ast.Name(name) | ast.Attribute(attr=name)):
            return name in PRINT
    return False


def test_what_commands_print_is_said_in_a_language() -> None:
    """A word in what is printed is English for good; names, paths and numbers stand in variables."""
    found = [
        (file, text)
        for file, tree in modules()
        if file.startswith(PRINTING)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and prints(node)
        for argument in node.args
        for text in unsaid(argument)
        if re.search("[A-Za-z]{2}", text) and text not in CODE
    ]
    assert found == []


def test_chinese_texts_are_chinese() -> None:
    for key, text in words("zh").texts.items():
        # Without the places of values, words that are written as they are in Chinese too, and what is code.
        own = re.sub(r"\{\w*\}|`[^`]*`|\b(?:" + "|".join(AS_THEY_ARE) + r")\b", "", text)
        assert CHINESE.search(own) or not re.search("[A-Za-z]", own), (key, text)


def test_no_english_sentence_is_left_in_chinese() -> None:
    """Names of columns and values may follow each other, and a few of ours have three words; not more."""
    for key, text in words("zh").texts.items():
        own = re.sub(r"\{\w*\}|`[^`]*`", "", text)
        assert not re.search(r"[A-Za-z']+(?: [A-Za-z']+){3}", own), (key, text)


def test_no_text_stands_outside_the_tables() -> None:
    found = []
    for file, tree in modules():
        documented = {
            id(node.body[0].value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
            and node.body
            and isinstance(node.body[0], ast.Expr)
        }
        found += [
            (file, node.value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
            and id(node) not in documented and file not in NO_TEXTS and CHINESE.search(node.value)
        ]  # fmt: skip
    assert found == []


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("en", "12.3M of Monday, Nov 23, 2026: 41.2 %, 2 min 5 s"),
        ("zh", "1,230万，2026年11月23日 星期一：41.2%，2 分钟 5 秒"),
    ],
)
def test_numbers_and_days_are_written_as_in_the_language(code: str, expected: str) -> None:
    t = Language(code)
    day = t.day(date(2026, 11, 23), weekday=True, year=True)
    parts = (t.compact(12_300_000), day, t.percent(0.412), t.duration(125_000))
    assert ("{} of {}: {}, {}" if code == "en" else "{}，{}：{}，{}").format(*parts) == expected


def test_what_the_table_does_not_have_stays_english() -> None:
    assert Language("zh")("Nobody says {this}.", this="so") == "Nobody says so."


def test_a_language_that_is_not_there_is_no_language() -> None:
    with pytest.raises(KeyError):
        Language("xx")
