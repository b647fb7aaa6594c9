"""The plain examples of docs/examples, each built and run: its event counts once, also where it is refused first.

Run by `make sdk`. A language whose compiler is not here is skipped, and said so.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from collect.doors import Door
from dashboard.browser import chromium
from sdk.sdks import BUILT

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "docs" / "examples"
PLAN = """
product: Examples
events:
  purchase: {value: amount, properties: {order_id: string!, amount: number!}}
"""
PERSON = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.0.0 Safari/537.36"
#: Kotlin's compiler, and what its programs need.
KOTLIN, KOTLIN_LIBRARY = f"{BUILT}/kotlin/*", f"{BUILT}/kotlin/kotlin-stdlib-2.2.20.jar"
#: How each is built (FILE is the example) and run, in an empty folder.
LANGUAGES = {
    "python": ([], [sys.executable, "FILE.py"], "send"),
    "java": (["javac", "-d", ".", "FILE.java"], ["java", "Send"], "Send"),
    "go": (["go", "build", "-o", "send", "FILE.go"], ["./send"], "send"),
    "swift": (["swiftc", "FILE.swift", "-o", "send"], ["./send"], "send"),
    "kotlin": (
        [
            "java",
            "-cp",
            KOTLIN,
            "org.jetbrains.kotlin.cli.jvm.K2JVMCompiler",
            "FILE.kt",
            "-no-stdlib",
            "-no-reflect",
            "-classpath",
            KOTLIN_LIBRARY,
            "-d",
            ".",
        ],
        ["java", "-cp", f".:{KOTLIN_LIBRARY}", "SendKt"],
        "Send",
    ),
}


@pytest.fixture
def door(tmp_path: Path, needs_embedded: None) -> Iterator[Door]:
    (tmp_path / "door").mkdir()
    made = Door(tmp_path / "door", plan_text=PLAN, collect_timeout_s=0.5)
    try:
        made.start()
        yield made
    finally:
        made.close()


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_example_sends_its_event_once(door: Door, tmp_path: Path, language: str) -> None:
    build, run, file = LANGUAGES[language]
    build, run = ([re.sub("^FILE", str(EXAMPLES / file), word) for word in words] for words in (build, run))
    for program in (*build[:1], *run[:1]):
        if not program.startswith("./") and shutil.which(program) is None:
            pytest.skip(f"no {program}")
    here = {**os.environ, "DOOR": f"http://127.0.0.1:{door.port}", "KEY": door.key, "HOME": str(tmp_path)}
    if language == "kotlin" and not Path(KOTLIN_LIBRARY).exists():
        pytest.skip("no compiler of Kotlin: tests/sdk/install fetches it, with Maven")
    if build:
        subprocess.run(build, cwd=tmp_path, env=here, check=True, timeout=300)
    door.freeze()  # Kafka is away: 503, and again
    running = subprocess.Popen(run, cwd=tmp_path, env=here)
    while 'status="503"' not in door.ask("GET", "/metrics").body.decode():
        assert running.poll() is None
    door.thaw()
    assert running.wait(60) == 0
    assert [(one["event"], one["user_id"], one["properties"]) for one in door.accepted()] == [
        ("purchase", f"{language}-user", {"order_id": f"{language}-1", "amount": 19.9})
    ]
    # A key that nobody has: it ends, and says why.
    said = subprocess.run(
        run, cwd=tmp_path, env={**here, "KEY": "x"}, capture_output=True, text=True, check=False, timeout=60
    )
    assert said.returncode != 0
    assert "unknown_key" in said.stderr


def test_the_script_of_a_page_sends_as_the_page_is_left(door: Door, tmp_path: Path, needs_chromium: None) -> None:
    url = f"http://127.0.0.1:{door.port}/v1/events?key={door.key}"
    script = (EXAMPLES / "send.js").read_text("utf-8").replace("https://events.shop.example/v1/events?key=KEY", url)
    page = tmp_path / "page.html"
    bought = "{event: 'purchase', properties: {order_id: 'js-1', amount: 19.9}}"
    page.write_text(f"<!doctype html><title>shop</title><script>{script}\nonpagehide = () => send({bought});</script>")
    with chromium(page.as_uri(), f"--user-agent={PERSON}") as browser:
        browser.driver.get(page.as_uri())
        browser.driver.get("about:blank")
        browser.until(lambda: door.accepted() or None, "the event")
    (found,) = door.accepted()
    assert (found["event"], found["properties"], found["source"]) == (
        "purchase", {"order_id": "js-1", "amount": 19.9}, "web",
    )  # fmt: skip
    assert re.fullmatch("[0-9a-f-]{36}", found["anonymous_id"])
