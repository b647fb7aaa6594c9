"""The documents name files, rooms and figures as they are."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "CONTRIBUTING.md", ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text("utf-8")


def rooms() -> list[list[str]]:
    """The map of CONTRIBUTING.md: the names of each level of `pipeline/`, from the top."""
    found = re.search(r"```\npipeline/\n(.*?)\nschemas/", CONTRIBUTING, re.DOTALL)
    assert found is not None
    return [re.findall(r"^  (\w+)(?:/|\.py)", level, re.MULTILINE) for level in found[1].split("\n\n") if level.strip()]


def test_the_map_is_the_contract_that_lint_holds() -> None:
    """Level by level."""
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]
    layers = tools["importlinter"]["contracts"][0]["layers"]
    assert [sorted(level) for level in rooms()] == [sorted(layer.split(" | ")) for layer in layers]


def test_the_map_names_every_room_and_no_other() -> None:
    """Folders with code, and files beside them."""
    entries = (ROOT / "pipeline").iterdir()
    there = {
        entry.stem
        for entry in entries
        if (entry / "__init__.py").is_file() or (entry.suffix == ".py" and entry.stem != "__init__")
    }
    assert {name for level in rooms() for name in level} == there


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_that_a_page_names_are_there(page: Path) -> None:
    """Paths in code text, like `pipeline/state/partition.py`."""
    named = re.findall(
        r"`((?:pipeline|schemas|sql|tests|deploy|docs)/[\w./-]+?\.(?:py|sql|yaml|md|yml))`", page.read_text("utf-8")
    )
    # Capitals stand for a name of the reader's.
    assert [name for name in named if not re.search("[A-Z]{4}", name) and not (ROOT / name).is_file()] == []


def test_the_first_figures_of_the_page_on_performance_are_those_of_the_run() -> None:
    """The table that it begins with is a choice from the figures that the benchmark wrote."""
    page = (ROOT / "docs/performance.md").read_text("utf-8")
    measured = (ROOT / "docs/performance-figures.md").read_text("utf-8")
    table = re.search(r"\| \| middle of three runs \|.*?\n\n(.*?)\n##", page, re.DOTALL)
    assert table is not None
    for number in re.findall(r"\b\d{1,3},\d{3}\b", table[1]):
        assert number in measured, number
