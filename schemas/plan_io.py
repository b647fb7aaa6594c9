"""Reading a tracking plan: YAML to `Plan`, with the line of each mistake; and the plans that come with it."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from schemas.plan import Plan

MAX_PLAN_BYTES = 1_000_000


@dataclass(frozen=True)
class PlanProblem:
    """One mistake in a plan: where it stands and what it is."""

    line: int
    path: str
    message: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.path + ': ' if self.path else ''}{self.message}"


class PlanError(Exception):
    """The plan can't be used; `problems` lists every mistake found."""

    def __init__(self, source: str, problems: list[PlanProblem]) -> None:
        self.source, self.problems = source, problems
        super().__init__("\n".join(f"{source}: {p}" for p in problems))


def ready_plans() -> dict[str, str]:
    """The plans that come with the package, name to YAML text."""
    folder = files("schemas") / "plans"
    return {
        entry.name.removesuffix(".yaml"): entry.read_text("utf-8")
        for entry in sorted(folder.iterdir(), key=lambda e: e.name)
        if entry.name.endswith(".yaml")
    }


def load_plan(source: str | Path) -> Plan:
    """Load a plan by file path, or by the name of one that comes with the package (`shop`).

    Raises PlanError with line numbers if it is not a valid plan, FileNotFoundError if there is none.
    """
    path = Path(source)
    if path.suffix in (".yaml", ".yml") or path.is_file():
        if path.stat().st_size > MAX_PLAN_BYTES:
            raise PlanError(str(source), [PlanProblem(1, "", f"larger than {MAX_PLAN_BYTES} bytes")])
        try:
            text = path.read_text("utf-8")
        except UnicodeDecodeError as exc:
            line = exc.object.count(b"\n", 0, exc.start) + 1
            raise PlanError(str(source), [PlanProblem(line, "", "not UTF-8 text")]) from exc
        return parse_plan(text, str(source))
    ready = ready_plans()
    if str(source) in ready:
        return parse_plan(ready[str(source)], str(source))
    raise FileNotFoundError(f"no plan {source}: give a YAML file, or one of {', '.join(ready)}")


def parse_plan(text: str, source: str = "plan") -> Plan:
    """Parse YAML text; raises PlanError listing every mistake with its line."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
    except yaml.YAMLError as exc:
        mark = getattr(exc, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        raise PlanError(source, [PlanProblem(line, "", str(getattr(exc, "problem", exc)))]) from exc
    if not isinstance(data, dict):
        raise PlanError(source, [PlanProblem(1, "", "a plan is a YAML mapping that begins with product:")])
    problems = _duplicate_keys(node, "", set())
    try:
        plan = Plan.model_validate(data)
    except ValidationError as exc:
        problems += [
            PlanProblem(_line_of(node, _place(error)), _path(error["loc"]), _message(error)) for error in exc.errors()
        ]
        raise PlanError(source, problems) from None
    if problems:
        raise PlanError(source, problems)
    return plan


def _place(error: Any) -> tuple[int | str, ...]:
    """Where an error stands. What the whole plan or event complains of begins with the place: `funnels.f: ...`."""
    place: tuple[int | str, ...] = error["loc"]
    message = _message(error)
    if error["type"] == "value_error" and ": " in message:
        place += tuple(message.split(": ")[0].split("."))
    return place


def _message(error: Any) -> str:
    if error["type"] == "extra_forbidden":
        return "not a field that a plan has here"
    text: str = error["msg"]
    return text.removeprefix("Value error, ")


def _path(loc: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in loc)


def _line_of(node: Any, loc: tuple[int | str, ...]) -> int:
    """The line of the deepest YAML node that `loc` still names (unions add parts that no node has)."""
    line: int = node.start_mark.line + 1
    for part in loc:
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if key.value == str(part):
                    line, node = key.start_mark.line + 1, value
                    break
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
    return line


def _duplicate_keys(node: Any, path: str, visited: set[int]) -> list[PlanProblem]:
    """YAML lets a later key win silently; in a plan that is always a mistake.

    Each node is visited once: an alias can stand for itself, or be repeated beyond any measure.
    """
    found: list[PlanProblem] = []
    if id(node) in visited:
        return found
    visited.add(id(node))
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if key.value in seen:
                found.append(PlanProblem(key.start_mark.line + 1, f"{path}{key.value}", "stands here twice"))
            seen.add(key.value)
            found += _duplicate_keys(value, f"{path}{key.value}.", visited)
    elif isinstance(node, yaml.SequenceNode):
        for i, value in enumerate(node.value):
            found += _duplicate_keys(value, f"{path}{i}.", visited)
    return found
