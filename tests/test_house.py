"""The house's order that no linter knows: nothing reaches into private names, no two classes bear one name."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from tests import days

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted(path for room in ("pipeline", "schemas") for path in (ROOT / room).rglob("*.py"))
#: What namedtuples and the standard library call with an underscore though it is public.
PUBLIC = {"_replace", "_asdict", "_fields", "_make", "_exit"}
#: Files that may reach into a library, because it offers no other way: Faust's and aiokafka's classes are subclassed
#: there, and chDB's connection can't be had from its public module.
LIBRARIES = {
    "pipeline/worker/inline.py", "pipeline/worker/transport.py", "pipeline/kafka/consumer.py",
    "pipeline/embedded/engine.py", "pipeline/replay/sql.py",
}  # fmt: skip


def private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def own_names(tree: ast.AST) -> set[str]:
    """The private names that a file defines: of its functions, classes, variables and its classes' attributes."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and _is_self(node.value):
            found.add(node.attr)
    return found


def _is_self(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id in ("self", "cls")


def reaches(text: str) -> Iterator[str]:
    """Where a file uses private names that aren't its own."""
    tree = ast.parse(text)
    own = own_names(tree) | PUBLIC
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            yield from (f"{node.lineno}: {a.name} of {node.module}" for a in node.names if private(a.name))
        elif (
            isinstance(node, ast.Attribute) and private(node.attr) and not _is_self(node.value) and node.attr not in own
        ):
            yield f"{node.lineno}: {ast.unparse(node)}"


def _in_public(tree: ast.AST) -> Iterator[ast.AST]:
    """Every node but those of private classes and functions."""
    for node in ast.iter_child_nodes(tree):
        if not (isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and private(node.name)):
            yield node
            yield from _in_public(node)


def leaks(text: str) -> Iterator[str]:
    """Public attributes and results whose type is a private class: whoever uses them reaches through to it."""
    tree = ast.parse(text)
    classes = {node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and private(node.name)}
    for node in _in_public(tree):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Attribute):
            name, said = node.target.attr, node.annotation
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.returns is not None:
            name, said = node.name, node.returns
        else:
            continue
        if not name.startswith("_") and classes & {n.id for n in ast.walk(said) if isinstance(n, ast.Name)}:
            yield f"{node.lineno}: {name}"


def test_no_file_reaches_into_the_private_names_of_another() -> None:
    found = {
        str(path.relative_to(ROOT)): list(reaches(path.read_text("utf-8")))
        for path in FILES if str(path.relative_to(ROOT)) not in LIBRARIES
    }  # fmt: skip
    assert {name: places for name, places in found.items() if places} == {}


def test_no_public_attribute_is_of_a_private_class() -> None:
    found = {str(path.relative_to(ROOT)): list(leaks(path.read_text("utf-8"))) for path in FILES}
    assert {name: places for name, places in found.items() if places} == {}


def test_no_two_classes_bear_one_name() -> None:
    found: dict[str, list[str]] = defaultdict(list)
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ClassDef) and not private(node.name):
                found[node.name].append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert {name: places for name, places in found.items() if len(places) > 1} == {}


def writes_environment(text: str) -> Iterator[str]:
    """Where a file changes the variables of its own process, which every part of it would see."""
    tree = ast.parse(text)
    writing = ("update", "setdefault", "pop", "clear", "popitem", "putenv", "unsetenv")
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript) and not isinstance(node.ctx, ast.Load):
            said = ast.unparse(node.value)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in writing:
            said = "os.environ" if node.func.attr.endswith("env") else ast.unparse(node.func.value)
        else:
            continue
        if said in ("os.environ", "environ"):
            yield f"{node.lineno}: {ast.unparse(node)}"


def test_no_file_writes_its_own_environment() -> None:
    found = {str(path.relative_to(ROOT)): list(writes_environment(path.read_text("utf-8"))) for path in FILES}
    assert {name: places for name, places in found.items() if places} == {}


#: What becomes of a record, and what is counted, is a function of the log: nothing in these rooms asks what time it is.
CLOCKLESS = ("pipeline/ingest", "pipeline/measure", "pipeline/state", "schemas")
CLOCKS = {"now", "utcnow", "today", "time_ns", "monotonic", "perf_counter", "random", "randint", "uuid4"}


def asks_a_clock(text: str) -> Iterator[str]:
    """Where a file asks a clock, or for a number by chance."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            yield from (f"{node.lineno}: {name}" for name in names if name in ("time", "random", "secrets", "uuid"))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CLOCKS:
            yield f"{node.lineno}: {ast.unparse(node.func)}"


def test_what_becomes_of_a_record_depends_on_no_clock() -> None:
    found = {
        name: list(asks_a_clock(path.read_text("utf-8")))
        for path in FILES if (name := str(path.relative_to(ROOT))).startswith(CLOCKLESS)
    }  # fmt: skip
    assert len(found) > 20
    assert {name: places for name, places in found.items() if places} == {}


def test_what_these_tests_would_find() -> None:
    assert list(reaches("from m import _x")) == ["1: _x of m"]
    assert list(reaches("other._x")) == ["1: other._x"]
    assert list(reaches("class A:\n    def f(self, other): self._x = 1; return other._x")) == []
    assert list(reaches("row._replace(a=1)")) == []
    assert list(asks_a_clock("import time\nnow = time.time()")) == ["1: time"]
    assert list(asks_a_clock("from datetime import datetime\nnow = datetime.now()")) == ["2: datetime.now"]
    assert list(asks_a_clock("from datetime import datetime\nday = datetime.fromtimestamp(5)")) == []
    assert list(writes_environment("os.environ['A'] = 'b'")) == ["1: os.environ['A']"]
    assert list(writes_environment("del os.environ['A']")) == ["1: os.environ['A']"]
    assert list(writes_environment("os.environ.setdefault('A', 'b')")) == ["1: os.environ.setdefault('A', 'b')"]
    assert list(writes_environment("os.putenv('A', 'b')")) == ["1: os.putenv('A', 'b')"]
    assert list(writes_environment("a = os.environ['A']; env['A'] = a; env.pop('B')")) == []
    leaking = "class _V: pass\nclass A:\n    def __init__(self) -> None:\n        self.views: dict[str, _V] = {}"
    assert list(leaks(leaking)) == ["4: views"]
    assert list(leaks(leaking.replace("views", "_views"))) == []


def test_the_nightly_run_on_other_days_names_tests_that_exist() -> None:
    assert [file for file in days.FILES if not (ROOT / "tests" / file).exists()] == []
