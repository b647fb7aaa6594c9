"""`streamgauge demo`, as a newcomer runs it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from datetime import date
from html import unescape
from pathlib import Path

import pytest
from whole_system import ROOT, command, last_json

from pipeline.render.language import Language

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("needs_embedded")]


def test_every_event_is_accounted_for_and_live_equals_archived(tmp_path: Path) -> None:
    done = command(
        "demo", "--for", "8s", "--rate", "1000", "--history", "1", "--seed", "7", "--json", "--data", str(tmp_path)
    )  # with today's first ones before them
    assert done.returncode == 0, done.stdout + done.stderr
    result = last_json(done.stdout)
    assert result["ok"] is True
    assert result["sent"] == sum(result[name] for name in ("accepted", "rejected", "duplicate", "late"))
    assert result["expected"] == {
        name: result[name] for name in ("accepted", "rejected", "duplicate", "late") if result[name]
    }
    assert min(result["accepted"], result["rejected"], result["duplicate"], result["late"], result["forwarded"]) > 0
    assert result["verify"]["differences"] == []
    assert result["verify"]["windows"] > 50
    assert result["verify"]["funnels"] >= 5
    assert result["verify"]["records"] == result["sent"]


def test_ctrl_c_ends_it_and_leaves_nothing_behind(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [
            *(sys.executable, "-P", "-m", "pipeline.cli", "demo"),
            *("--history", "7", "--data", str(tmp_path)),
        ],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        start_new_session=True,
    )
    assert process.stdout is not None
    text = ""
    while "GROUP BY event" not in text:
        line = process.stdout.readline()
        assert line, f"ended early: {text}"
        text += line
    assert " events of the past 7 days are stored" in text
    ports = {int(port) for port in re.findall(r"127\.0\.0\.1:(\d+)", text)}
    # Kafka, ClickHouse, dashboard, front door, worker, archiver; Prometheus where it is installed.
    assert len(ports) == 6 + (shutil.which("prometheus") is not None)
    # Who tries it out can keep things at once.
    dashboard = re.search(r"^Dashboard\s+(\S+)", text, re.M)
    assert dashboard is not None, text
    page = _page(f"{dashboard[1].rstrip('/')}/boards")
    assert "New board" in page
    assert "You may look" not in page
    # The one thing that goes wrong is what the first page says, in a sentence: which step, for whom, since when.
    since = re.search(r"^Something has gone wrong since (\S+): the first page says what", text, re.M)
    assert since is not None, text
    found = re.findall(r"<li>.*?</li>", _page(f"{dashboard[1].rstrip('/')}/part/drops"), re.S)
    assert len(found) == 1, found
    sentence = re.search(r"<strong>(.*?)</strong>", found[0])
    assert sentence is not None, found
    day = Language("en").day(date.fromisoformat(since[1]), weekday=True)
    fell = r"checkout → pay fell from [5-8]\d\.\d % to [1-3]?\d\.\d % on android only \(funnel checkout\), since "
    assert re.fullmatch(fell + re.escape(f"{day}."), unescape(sentence[1])), sentence[1]
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 0
    assert time.monotonic() - began < 20
    for port in ports:
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0, f"port {port} is still taken"
    assert _processes_naming(str(tmp_path)) == []


def _page(address: str) -> str:
    with urllib.request.urlopen(urllib.request.Request(address, headers={"Cookie": "lang=en"}), timeout=60) as answer:
        found: str = answer.read().decode()
    return found


def _processes_naming(text: str) -> list[str]:
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if text in line:
                found.append(line)
    return found
