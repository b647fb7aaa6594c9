"""Every `streamgauge …` that a document shows is a command with these options."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from typer.main import get_command

from pipeline.cli.main import app
from pipeline.settings import Settings

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
#: In a code block or in a line of code: perhaps variables first, then the command up to what the shell makes of it.
_LINE = re.compile(r"^(?:[$#] )?((?:[A-Z_]+=\S+ )*)(?:\.venv/bin/)?streamgauge (.+)$", re.MULTILINE)
_INLINE = re.compile(r"`(?:[A-Z_]+=\S+ )*streamgauge ([^`\n]+)`")
_MAKE = re.compile(r'make demo ARGS="([^"]*)"')
_BLOCK = re.compile(r"^(?:> )?```\w*\n(.*?)^(?:> )?```", re.MULTILINE | re.DOTALL)
#: What a document leaves to the reader.
_LEFT_OUT = ("…", "...")


def shown(page: Path) -> Iterator[list[str]]:
    """The arguments of each command on a page."""
    text = page.read_text("utf-8")
    for block in _BLOCK.findall(text):
        for _, line in _LINE.findall(block.replace("\\\n", " ")):
            yield arguments(line)
    for line in _MAKE.findall(text):
        yield ["demo", *arguments(line)]
    for line in _INLINE.findall(_BLOCK.sub("", text)):
        yield arguments(line)


def arguments(line: str) -> list[str]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|<>;&")
    lexer.whitespace_split = True
    found = []
    for word in lexer:
        if word[:1] in "|<>;&":
            break
        found.append(word)
    return found


def problem(words: list[str]) -> str | None:
    """Why these are no arguments of the command, None if they are."""
    command = get_command(app)
    rest = list(words)
    while rest and hasattr(command, "commands"):
        name = rest.pop(0)
        if name in ("-h", "--help", "--version"):
            return None
        if name not in command.commands:
            return f"there is no command {name}"
        command = command.commands[name]
    if hasattr(command, "commands") or "-h" in rest:
        return None
    options = {option: p for p in command.params for option in (*p.opts, *p.secondary_opts) if option.startswith("-")}
    places = [p for p in command.params if p.param_type_name == "argument"]
    given = 0
    free = command.context_settings.get("ignore_unknown_options", False)
    while rest:
        word = rest.pop(0)
        if word in _LEFT_OUT:
            return None
        name, equals, _ = word.partition("=")
        if word.startswith("-") and word != "-":
            if name not in options:
                if free:
                    # The parameters of a metric, which the catalogue's own tests judge.
                    rest = rest[1:]
                    continue
                return f"there is no option {name}"
            if not equals and not options[name].is_flag:
                if not rest:
                    return f"{name} needs a value"
                rest.pop(0)
            continue
        given += 1
    if places and not free and given > len(places) and all(p.nargs != -1 for p in places):
        return f"{given} arguments, where it takes {len(places)}"
    return None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_commands_that_a_page_shows_are_there(page: Path) -> None:
    assert [f"{' '.join(words)}: {why}" for words in shown(page) if words and (why := problem(words))] == []


#: Shown for what is said of it.
_MISSPELT = {"PIPELINE_PARTITION"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_settings_that_a_page_names_are_there(page: Path) -> None:
    """`PIPELINE_KAFKA_SASL_*` stands for those that begin so."""
    known = {f"PIPELINE_{name.upper()}" for name in Settings.model_fields} | {"PIPELINE_CONFIG"} | _MISSPELT
    for name, more in re.findall(r"(PIPELINE_[A-Z_]*[A-Z])(_\*)?", page.read_text("utf-8")):
        assert any(one.startswith(f"{name}_") for one in known) if more else name in known, name


def test_the_commands_are_found() -> None:
    """The test above would pass of pages in which it finds nothing."""
    readme = list(shown(ROOT / "README.md"))
    assert ["check", "events.jsonl"] in readme
    assert ["up", "--plan", "ecom", "--data", "ecomdata"] in readme
    assert ["archiver"] in readme
    assert ["demo", "--for", "20s", "--rate", "1000"] in readme
    assert any(words[:2] == ["send", "ecom.csv.gz"] and "--map" in words for words in readme)
    assert sum(len(list(shown(page))) for page in PAGES) > 60
    assert problem(["send", "a.csv", "--fast"]) == "there is no option --fast"
    assert problem(["sent", "a.csv"]) == "there is no command sent"
    assert problem(["check", "a", "b"]) == "2 arguments, where it takes 1"


@pytest.mark.parametrize("file", [ROOT / "deploy/compose.yaml", *sorted((ROOT / "deploy/kubernetes").glob("*.yaml"))])
def test_the_commands_of_containers_are_there(file: Path) -> None:
    def commands(found: object) -> Iterator[list[str]]:
        if isinstance(found, dict):
            for key in ("command", "args"):
                words = found.get(key)
                if isinstance(words, list):
                    yield [str(word) for word in words]
                elif isinstance(words, str):
                    yield arguments(words)
            for value in found.values():
                yield from commands(value)
        elif isinstance(found, list):
            for value in found:
                yield from commands(value)

    groups = get_command(app)
    assert hasattr(groups, "commands")
    for document in yaml.safe_load_all(file.read_text("utf-8")):
        for words in commands(document):
            words = words[1:] if words[:1] == ["streamgauge"] else words
            if words and words[0] in groups.commands:
                assert problem(words) is None, words
