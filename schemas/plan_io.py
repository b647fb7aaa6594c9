"""Reading a tracking plan: YAML to `Plan`, with the line of each mistake; and the plans that come with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import ValidationError

from schemas.plan import Plan
from schemas.plan_checks import Place, Remark, remarks
from schemas.translatable import Foreign, Sentence, TranslatableError, said_by
from schemas.yaml_text import find, surprises, without_quotes

MAX_PLAN_BYTES = 1_000_000
#: Parts that Pydantic adds to the place of an error in `schemas.where.Scalar`.
_SCALARS: Final = ("str", "int", "float", "bool")
#: Errors of a value that should have been a text.
_NO_TEXT: Final = ("string_type", "model_type", "model_attributes_type", "int_type", "float_type", "bool_type")


@dataclass(frozen=True)
class PlanProblem:
    """One mistake in a plan: where it stands and what it is."""

    line: int
    path: str
    message: str

    def __str__(self) -> str:
        return str(self.said)

    @property
    def said(self) -> Sentence:
        """The mistake and where it stands, as one sentence."""
        path = "".join(c if c.isprintable() else repr(c)[1:-1] for c in self.path)
        what = Sentence("{place}: {why}", place=path, why=self.message) if path else self.message
        return Sentence("line {line}: {why}", line=self.line, why=what)


class PlanError(TranslatableError):
    """The plan can't be used; `problems` lists every mistake found."""

    def __init__(self, source: str, problems: list[PlanProblem]) -> None:
        self.source, self.problems = source, problems
        said = Sentence.joined("\n", (Sentence("{place}: {why}", place=source, why=p.said) for p in problems))
        super().__init__(said.text, **said.values)


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
    text = plan_text(source)
    return parse_plan(text, str(source))


def plan_text(source: str | Path) -> str:
    """The YAML of a plan, found as `load_plan` finds it. Raises PlanError if it is no text, FileNotFoundError."""
    path = Path(source)
    if path.suffix in (".yaml", ".yml") or path.is_file():
        if path.stat().st_size > MAX_PLAN_BYTES:
            raise PlanError(
                str(source), [PlanProblem(1, "", Sentence("larger than {most} bytes", most=MAX_PLAN_BYTES))]
            )
        try:
            return path.read_text("utf-8")
        except UnicodeDecodeError as exc:
            line = exc.object.count(b"\n", 0, exc.start) + 1
            raise PlanError(str(source), [PlanProblem(line, "", Sentence("not UTF-8 text"))]) from exc
    ready = ready_plans()
    if str(source) in ready:
        return ready[str(source)]
    raise FileNotFoundError(f"no plan {source}: give a YAML file, or one of {', '.join(ready)}")


def parse_plan(text: str, source: str = "plan") -> Plan:
    """Parse YAML text; raises PlanError listing every mistake with its line."""
    return read_plan(text, source)[0]


def read_plan(text: str, source: str = "plan") -> tuple[Plan, list[PlanProblem]]:
    """Parse YAML text: the plan, and warnings of what is surely not meant. Raises PlanError as `parse_plan`."""
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        problems = [PlanProblem(*found) for found in surprises(node)]
        data = None if node is None else loader.construct_document(node)
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as exc:
        raise PlanError(source, [_unreadable(text, exc)]) from exc
    if not isinstance(data, dict):
        no_plan = Sentence("a plan is a YAML mapping that begins with product:")
        raise PlanError(source, [PlanProblem(1, "", no_plan)])
    try:
        plan = Plan.model_validate(data)
    except ValidationError as exc:
        found = [_of_pydantic(node, error) for error in _once(exc)]
        raise PlanError(source, _in_order(problems, found)) from None
    said = remarks(plan)
    problems = _in_order(problems, [_of_remark(node, remark) for remark in said if not remark.warning])
    if problems:
        raise PlanError(source, problems)
    return plan, [_of_remark(node, remark) for remark in said if remark.warning]


def problem_at(text: str, place: Place, message: str) -> PlanProblem:
    """A mistake in a plan that can be read, seen by somebody who knows more than a plan: at its place in the text."""
    return _of_remark(yaml.compose(text, yaml.SafeLoader), Remark(place, message))


def _in_order(misread: list[PlanProblem], found: list[PlanProblem]) -> list[PlanProblem]:
    """All of them by line, without those that only follow from what YAML has misread."""
    follows = tuple(problem.path + "." for problem in misread)
    kept = [problem for problem in found if not f"{problem.path}.".startswith(follows)] if follows else found
    return sorted([*misread, *kept], key=lambda problem: problem.line)


def _once(exc: ValidationError) -> Iterator[Any]:
    """The errors of a validation that say something: one where all branches of a union complain of a value, and none
    of a key that is no text, which YAML has misread."""
    seen = set()
    errors = exc.errors(include_url=False)
    for error in errors:
        loc = error["loc"]
        if error["type"] == "string_type" and loc[-1] == "[key]":
            continue
        if error["type"] == "too_short" and any(e["loc"][: len(loc)] == loc != e["loc"] for e in errors):
            continue  # too short without the wrong ones
        if loc and loc[-1] in _SCALARS and error["type"].endswith("_type"):
            error["loc"], error["msg"] = loc[:-1], "Input should be a text, a number, true or false"
        if (error["loc"], error["msg"]) not in seen:
            seen.add((error["loc"], error["msg"]))
            yield error


def _unreadable(text: str, exc: Exception) -> PlanProblem:
    if isinstance(exc, RecursionError):
        return PlanProblem(1, "", Sentence("nested too deeply"))
    if not isinstance(exc, yaml.YAMLError) or isinstance(exc, yaml.constructor.ConstructorError):
        # A plain text that looks like a number or a date, and is none: 2026-13-45.
        found = surprises(yaml.compose(text, Loader=yaml.SafeLoader))
        if found:
            return PlanProblem(*found[0])
    if isinstance(exc, yaml.YAMLError):
        mark = getattr(exc, "problem_mark", None)
        line = mark.line + 1 if mark else _line_at(text, getattr(exc, "position", 0))
        said = getattr(exc, "problem", None) or getattr(exc, "reason", exc)
        return PlanProblem(line, "", Foreign(said))
    return PlanProblem(1, "", Foreign(exc))


def _line_at(text: str, position: Any) -> int:
    return text.count("\n", 0, position) + 1 if isinstance(position, int) else 1


def _of_pydantic(root: Any, error: Any) -> PlanProblem:
    """A mistake that the models found. What the whole plan or event complains of begins with its place."""
    place: tuple[int | str, ...] = error["loc"]
    message = said_by(error)
    if error["type"] == "extra_forbidden":
        message = Sentence("not a field that a plan has here")
    if error["type"] == "value_error" and ": " in message:
        place += tuple(message.split(": ")[0].split("."))
    misread = message.startswith("an empty condition") or ("enum: " in message[:6] and "of type string" in message)
    if misread or error["type"] in _NO_TEXT:
        message = _hinted(message, without_quotes(find(root, place).node))
    path = ".".join(str(part) for part in error["loc"] if part != "[key]")
    return PlanProblem(find(root, place).line, path, message)


def _of_remark(root: Any, remark: Remark) -> PlanProblem:
    found = find(root, remark.place)
    hint = without_quotes(found.node) if remark.unquoted else ""
    return PlanProblem(found.line, ".".join(map(str, remark.place)), _hinted(remark.message, hint))


def _hinted(message: str, hint: str) -> str:
    return Sentence("{why}{hint}", why=message, hint=hint) if hint else message
