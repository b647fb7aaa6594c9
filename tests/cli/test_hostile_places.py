"""Each command where nothing can be written, no home is, letters are ASCII and nobody answers: no traceback."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest
from typer.main import get_command
from whole_system import ROOT

from pipeline.cli.main import app

# Some fifty processes: they say nothing more of another Python, where only what is pure is run.
pytestmark = pytest.mark.integration

#: A folder in which nobody can write, root neither; a home that is a file; a job without a locale.
WHERE = "/proc"
ENVIRONMENT = {
    "HOME": "/dev/null", "XDG_CACHE_HOME": "/dev/null/cache", "XDG_CONFIG_HOME": "/dev/null/config",
    "PYTHONIOENCODING": "ascii", "LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0",
    "PIPELINE_KAFKA_BOOTSTRAP": "127.0.0.1:1", "PIPELINE_CLICKHOUSE_URL": "http://127.0.0.1:1",
}  # fmt: skip
#: Each command in every way in which it could end with a traceback. EVENTS and SPEND are files, TAKEN a taken port.
COMMANDS = [
    "demo --data data", "demo --for 1s --data /dev/null/data", "up", "up --data /dev/null/data",
    "dashboard", "dashboard --set-password änn", "report --day 2026-11-22 -o report.html",
    "report --day 2026-11-22 -o /dev/null/r.pdf", "report --day 2026-11-22", "send EVENTS", "send --dry-run EVENTS",
    "send nöthing.jsonl", "simulate --days 0.1 --events 20 -o out.jsonl", "simulate --days 0.1 --events 20 -o -",
    "simulate --days 0.1 --events 20 -o /dev/null/out.jsonl", "simulate --days 0.1 --events 20 -o - --sides sides",
    "simulate --days 0.1 --events 20 --insert", "import spend SPEND", "import spend SPEND --dry-run", "check EVENTS",
    "replay EVENTS", "replay EVENTS --sql", "rebuild", "rebuild EVENTS", "verify", "metrics list",
    "metrics show retention",
    "metrics run active_users_daily", "metrics run active_users_daily --format csv --out x.csv",
    "alerts render -o rules", "alerts check", "alerts bridge --port TAKEN", "alerts test", "rejected list",
    "rejected redrive", "plan show", "plan check", "plan check shop", "plan check nöpe.yaml", "plan export",
    "plan show --plan /proc", "verify --config /proc", "verify --config nöpe.toml",
    "sources add web", "sources add änn", "sources list", "sources list --file /dev/null/s.json", "sources revoke web",
    "backup nöthing", "backup /dev/null/x", "backup x --data nöthing", "restore nöthing",
    "restore x --data /dev/null/x",
    "kept export k.yaml", "kept export --data nöthing -", "kept import nöthing.yaml", "mcp",
    "doctor", "doctor --json --lang zh", "doctor --data nöthing", "doctor --lang xx",
]  # fmt: skip
#: Those that wait for what isn't there: what they say meanwhile.
WAITING = {
    "worker": "waiting for Kafka",
    "archiver": "waiting for Kafka",
    "collect": "waiting for Kafka",
    "migrate": "waiting for ClickHouse",
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """What stands for the words in capitals."""
    folder = tmp_path_factory.mktemp("place")
    event = {"event_id": "é→北", "event": "shäre", "user_id": "u", "ts": 1_795_168_755_000}
    (folder / "events.jsonl").write_text(json.dumps(event, ensure_ascii=False) + "\n", "utf-8")
    (folder / "spend.csv").write_text("day,channel,amount\n2026-11-01,Köln,3\n", "utf-8")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        yield {"EVENTS": str(folder / "events.jsonl"), "SPEND": str(folder / "spend.csv"), "TAKEN": port}


def _interruptible() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def started(line: str, files: dict[str, str]) -> subprocess.Popen[str]:
    words = [files.get(word, word) for word in line.split()]
    taken = {"PIPELINE_DASHBOARD_PORT": files["TAKEN"], "PIPELINE_COLLECT_PORT": "0"}
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "pipeline.cli", *words], cwd=WHERE, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="ascii", errors="surrogateescape",
        env={**os.environ, **ENVIRONMENT, **taken, "PYTHONPATH": str(ROOT)},
        # Where a shell started the tests in the background, Ctrl-C would be ignored.
        preexec_fn=_interruptible,
    )  # fmt: skip


def test_every_command_is_tried() -> None:
    groups = get_command(app)
    assert hasattr(groups, "commands")
    found = {
        " ".join(filter(None, (name, below)))
        for name, command in groups.commands.items()
        for below in getattr(command, "commands", [""])
    }
    tried = {next((name for name in found if f"{line} ".startswith(f"{name} ")), line) for line in COMMANDS}
    assert tried | WAITING.keys() == found


@pytest.mark.parametrize("line", COMMANDS)
def test_where_nothing_works_a_command_says_so_in_words(line: str, files: dict[str, str]) -> None:
    with started(line, files) as process:
        out, said = process.communicate(timeout=120)
    assert said.isascii()
    assert out.isascii() or line.startswith("simulate")  # events are UTF-8, whatever the terminal is
    assert "Traceback" not in out + said, said
    assert "Exception ignored" not in said
    assert "Unclosed" not in said
    assert process.returncode in (0, 1, 2, 3), said
    if process.returncode > 1:
        assert said.strip(), "it failed without a word"


@pytest.mark.parametrize("line", WAITING)
def test_what_waits_says_for_what_and_ends_when_it_is_asked_to(line: str, files: dict[str, str]) -> None:
    with started(line, files) as process:
        assert process.stderr is not None
        said = []
        for text in process.stderr:
            said.append(text)
            if WAITING[line] in text:
                break
        process.send_signal(signal.SIGINT)
        _, rest = process.communicate(timeout=60)
    assert WAITING[line] in said[-1], said
    assert "Traceback" not in "".join([*said, rest]), rest


def test_what_a_disk_refuses_is_one_line_wherever_it_happens() -> None:
    """A file that no command looks after by itself: the passwords of the dashboard."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", "pipeline.cli", "dashboard", "--set-password", "ann"], cwd=WHERE,
        input="a long password\n" * 2, capture_output=True, text=True, timeout=60, start_new_session=True,
        env={**os.environ, **ENVIRONMENT, "PIPELINE_DASHBOARD_PASSWORD_FILE": "/dev/null/pw", "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    assert done.stderr.splitlines()[-1] == "streamgauge: /dev/null/pw can't be used: Not a directory"
    assert done.returncode == 2
