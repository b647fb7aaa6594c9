"""The image: what it copies exists, what it runs is a command, and it holds no more than it needs."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest
from typer.main import get_command

from pipeline.cli.main import app

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = ROOT / "deploy/Dockerfile"


@pytest.fixture(scope="module")
def instructions() -> list[tuple[str, str]]:
    """Instructions and their arguments, comments left out and continued lines joined."""
    text = "\n".join(line for line in DOCKERFILE.read_text("utf-8").splitlines() if not line.startswith("#"))
    lines = re.sub(r"\\\n\s*", " ", text).splitlines()
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines if line)]


def of(instructions: list[tuple[str, str]], word: str) -> list[str]:
    return [rest for name, rest in instructions if name == word]


def commands() -> set[str]:
    return set(get_command(app).commands)  # type: ignore[attr-defined]


def test_it_runs_the_command_that_the_package_installs(instructions: list[tuple[str, str]]) -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["scripts"]
    (entry,) = of(instructions, "ENTRYPOINT")
    (command,) = of(instructions, "CMD")
    assert json.loads(entry) == list(scripts)
    assert json.loads(command) == ["worker"]
    assert set(json.loads(command)) <= commands()


def test_what_it_copies_exists_and_reaches_the_builder(instructions: list[tuple[str, str]]) -> None:
    ignore = (ROOT / "deploy/Dockerfile.dockerignore").read_text("utf-8").splitlines()
    assert "*" in ignore  # everything that is not named stays outside: data, virtual environments, .env
    sources = [s for rest in of(instructions, "COPY") if "--from" not in rest for s in rest.split()[:-1]]
    assert set(sources) >= {"constraints.txt", "pyproject.toml", "schemas", "pipeline", "sql"}
    for source in sources:
        assert (ROOT / source).exists(), source
        assert f"!{source}" in ignore, source


def test_it_installs_pinned_versions_without_the_embedded_parts(instructions: list[tuple[str, str]]) -> None:
    (install,) = [rest for rest in of(instructions, "RUN") if "pip install" in rest]
    assert "-c constraints.txt" in install
    # What the front door adds needs the extra; nothing embedded does.
    assert install.endswith(" '.[collect]'")


def test_it_runs_as_a_user_that_kubernetes_can_check(instructions: list[tuple[str, str]]) -> None:
    (user,) = of(instructions, "USER")
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)
    last_stage = max(i for i, (name, _) in enumerate(instructions) if name == "FROM")
    assert [name for name, _ in instructions[last_stage:]].count("USER") == 1


def test_its_health_is_asked_where_its_metrics_are(instructions: list[tuple[str, str]]) -> None:
    (environment,) = of(instructions, "ENV")
    port = re.search(r"PIPELINE_METRICS_PORT=(\d+)", environment)
    assert port is not None
    assert of(instructions, "EXPOSE") == [port[1]]
    (check,) = of(instructions, "HEALTHCHECK")
    program, option, code = json.loads(check.partition("CMD ")[2])
    assert (program, option) == ("python", "-c")
    compile(code, "HEALTHCHECK", "exec")
    assert f"http://127.0.0.1:{port[1]}/health" in code


def test_it_holds_no_secret() -> None:
    without_comments = re.sub(r"(?m)^#.*$", "", DOCKERFILE.read_text("utf-8"))
    assert not re.search(r"password|secret|token", without_comments, re.IGNORECASE)
