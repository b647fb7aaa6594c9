"""The README's first steps, as they are written there."""

from __future__ import annotations

import json
import re
import subprocess
import time
from datetime import datetime
from pathlib import Path

from whole_system import command

README = (Path(__file__).parents[2] / "README.md").read_text("utf-8")


def block(words: str) -> str:
    """The block of code that has these words."""
    (found,) = (text for text in re.findall(r"```\w*\n(.*?)```", README, re.DOTALL) if words in text)
    return str(found)


def test_the_first_events_are_of_now_and_are_judged_as_the_page_says(tmp_path: Path) -> None:
    """With fixed times the first `send` ended in "No new event for 542 d"."""
    subprocess.run(["bash", "-euc", block("cat > events.jsonl")], cwd=tmp_path, check=True, timeout=60)
    file = tmp_path / "events.jsonl"
    ages = [
        time.time() - datetime.fromisoformat(json.loads(line)["ts"]).timestamp()
        for line in file.read_text("utf-8").splitlines()
    ]
    assert len(ages) == 4
    assert all(0 <= age < 6 * 60 for age in ages)
    shown = block("$ streamgauge check events.jsonl").splitlines()[1:]
    done = command("check", str(file), "--plan", "shop")
    assert done.returncode == 1
    for line, said in zip(shown, done.stdout.splitlines(), strict=False):
        # What the page leaves out stands behind "…".
        assert said.startswith(line.partition("…")[0].rstrip())
    assert "4 lines: 2 valid, 2 not" in shown


def test_the_plan_of_the_page_is_one(tmp_path: Path) -> None:
    (tmp_path / "app.yaml").write_text(block("product: My app"), "utf-8")
    done = command("plan", "check", str(tmp_path / "app.yaml"))
    assert (done.returncode, done.stderr) == (0, "")


def test_the_settings_of_the_page_are_some(tmp_path: Path) -> None:
    (tmp_path / "app.yaml").write_text(block("product: My app"), "utf-8")
    settings = block("kafka_bootstrap =").replace('"app.yaml"', f'"{tmp_path}/app.yaml"')
    (tmp_path / "production.toml").write_text(settings, "utf-8")
    done = command("plan", "show", "--config", str(tmp_path / "production.toml"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("My app")
