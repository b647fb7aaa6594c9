"""Commands that ask nobody load no client: what they import is what a person waits for."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

EVENT = '{"event_id":"e","event":"app_open","user_id":"u","ts":1790812800000}\n'
#: Clients of Kafka and ClickHouse, and what else takes long to load.
CLIENTS = ("faust", "aiokafka", "clickhouse_connect", "chdb", "aiohttp", "numpy", "prometheus_client", "matplotlib")
RUN = """
import sys
from pipeline.cli.main import main
sys.argv[0] = "streamgauge"
code = 0
try:
    main()
except SystemExit as end:
    code = end.code or 0
print(code, *sorted({name.partition(".")[0] for name in sys.modules}), file=sys.stderr)
"""


def run(*words: str, folder: Path) -> tuple[str, str, list[str]]:
    """What a command prints, its exit code, and the packages that it has loaded."""
    done = subprocess.run([sys.executable, "-c", RUN, *words], cwd=folder, capture_output=True, text=True, timeout=120)
    *_, last = done.stderr.splitlines()
    code, *loaded = last.split()
    return done.stdout, code, loaded


@pytest.mark.parametrize(
    ("words", "printed"),
    [
        (("plan", "show"), "Demo shop"),
        (("plan", "show", "--json"), '"product": "Demo shop"'),
        (("plan", "check", "shop"), "shop: fine (24 events, 2 funnels)"),
        (("plan", "check", "shop", "--json"), '"ok": true'),
        (("plan", "export"), "json-schema.org"),
        (("check", "events.jsonl"), "1 lines: 1 valid, 0 not"),
        (("check", "events.jsonl", "--json"), '"valid": 1'),
        (("metrics", "list"), "active_days_distribution"),
        (("metrics", "list", "--json"), '"name": "active_days_distribution"'),
        (("metrics", "show", "active_days_distribution"), "active_days_distribution: "),
        (("--help",), "Usage: streamgauge"),
        (("--version",), "streamgauge "),
    ],
    ids=" ".join,
)
def test_no_client_is_loaded(words: tuple[str, ...], printed: str, tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").write_text(EVENT)
    stdout, code, loaded = run(*words, folder=tmp_path)
    assert code == "0"
    assert printed in stdout
    assert sorted(set(loaded) & set(CLIENTS)) == []


def test_the_clients_would_be_seen(tmp_path: Path) -> None:
    """The same look finds a client where one is needed: an address at which nobody listens."""
    (tmp_path / "events.jsonl").write_text(EVENT)
    _, code, loaded = run(
        "metrics", "run", "active_days_distribution", "--clickhouse", "http://127.0.0.1:9", folder=tmp_path
    )
    assert code == "3"
    assert "clickhouse_connect" in loaded


def test_warnings_of_a_plan_fail_nothing(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text("product: x\nevents: {view: , buy: }\nfunnels:\n  f: {steps: [view, view, buy]}\n")
    said = ("funnels.f.steps.1: one view can be step 1 and step 2 at once; to ask for two of them say modes: "
            "[strict_once]")  # fmt: skip
    assert run("plan", "check", "p.yaml", folder=tmp_path)[:2] == (
        f"p.yaml: warning: line 4: {said}\np.yaml: fine (2 events, 1 funnels, 1 warning)\n",
        "0",
    )
    stdout, code, _ = run("plan", "check", "p.yaml", "--json", folder=tmp_path)
    path, _, message = said.partition(": ")
    assert (json.loads(stdout), code) == (
        {"ok": True, "events": 2, "funnels": 1, "warnings": [{"line": 4, "path": path, "message": message}]},
        "0",
    )


def test_names_are_shown_as_they_are(tmp_path: Path) -> None:
    """Rich takes [bold] for a word of its own."""
    (tmp_path / "p.yaml").write_text(
        "product: '[red]x[/red]'\nevents: {'[/bold]': {properties: {'[x]': string}}, '[b': }\n"
        "dimensions: ['properties.[x]']\nfunnels: {'[i]f': {steps: ['[/bold]', '[b'], breakdown: ['properties.[x]']}}\n"
        "meanings: {activation: '[/bold]'}\n"
    )
    stdout, code, _ = run("plan", "show", "--plan", "p.yaml", folder=tmp_path)
    assert code == "0"
    for said in ("[red]x[/red]", "[/bold]", "[x]: string", "funnel [i]f: [/bold] → [b", "activation is [/bold]"):
        assert said in stdout
    assert "counted live by: properties.[x]" in stdout
