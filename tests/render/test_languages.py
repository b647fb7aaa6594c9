"""The tables of the languages: whatever is said is in them, and nothing else."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from datetime import date
from string import Formatter
from typing import Final

import pytest
from whole_system import ROOT

from pipeline.alerts import texts as alerts
from pipeline.assistants import definitions
from pipeline.dashboard.navigation import TASKS
from pipeline.dashboard.pages import PAGES, builders, events, explore, kept, scorecard
from pipeline.doctor import words as doctor
from pipeline.doctor.model import SUBJECTS
from pipeline.explore import filters, question
from pipeline.explore.lifecycle import STATES
from pipeline.kept.things import KINDS
from pipeline.metrics import metrics
from pipeline.render import language, metric
from pipeline.render.language import CODES, ENGLISH, Language, words

OTHERS: Final = [code for code in CODES if code != ENGLISH]
CHINESE: Final = re.compile(r"[\u3000-\u9fff\uff00-\uffef]")
#: Words of the field or of the machine that Chinese people write as they are.
AS_THEY_ARE: Final = ("ID", "P90", "P95", "P99", "LTV", "CAC", "NPS", "ROI", "UV", "PV", "K")
#: Chinese in the code that is no text of ours: what others send, names and files in Chinese, tools of both languages.
NO_TEXTS: Final = {
    "collect/enrich/channel.py", "collect/enrich/place.py", "collect/protocols/sensors.py", "metrics/spreadsheet.py",
    "files/times.py", "simulate/world.py", "alerts/message.py", "assistants/tools.py", "metrics/metric.py",
}  # fmt: skip


def modules() -> Iterator[tuple[str, ast.Module]]:
    for file in sorted((ROOT / "pipeline").rglob("*.py")):
        yield str(file.relative_to(ROOT / "pipeline")), ast.parse(file.read_text("utf-8"))


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


def from_lists() -> set[str]:
    """Keys of the texts that stand in lists, and are said by name."""
    found = {definitions.PERSON, "dashboard", *scorecard.STAGE_NAMES.values(), *language.WEEKDAYS}
    found |= {text for _, text in language.UNITS}
    found |= {f"column|{name}" for name in columns()}
    for meaning, texts in (
        ("page", [page.name for page in PAGES]), ("task", [task for task, _ in TASKS]), ("subject", SUBJECTS), ("state", STATES),
        ("question", [*definitions.KINDS.values(), *(text for pair in explore.KINDS.values() for text in pair)]),
        ("operator", filters.OPERATORS.values()), ("measure", question.MEASURES.values()), ("order", question.ORDER_NAMES.values()),
        ("against", builders.COMPARES.values()), ("grain", builders.GRAINS), ("period", builders.GRAINS),
        ("outcome", events.OUTCOMES.values()), ("segment", metric.SEGMENT_NAMES.values()), ("alert", alerts.WORDS.values()),
        ("happened", kept.HAPPENED), ("kept", KINDS), ("page", ["Not stored"]),
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


def test_chinese_texts_are_chinese() -> None:
    for key, text in words("zh").texts.items():
        # Without the places of values, words that are written as they are in Chinese too, and what is code.
        own = re.sub(r"\{\w*\}|`[^`]*`|\b(?:" + "|".join(AS_THEY_ARE) + r")\b", "", text)
        assert CHINESE.search(own) or not re.search("[A-Za-z]", own), (key, text)


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


def test_every_metric_and_parameter_is_told_in_chinese() -> None:
    for one in metrics().values():
        assert CHINESE.search(one.title_zh) or set(one.title_zh.split(" / ")) <= set(AS_THEY_ARE), one.name
        assert CHINESE.search(one.definition_zh), one.name


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
