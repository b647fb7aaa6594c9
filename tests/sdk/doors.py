"""The real SDKs of servers against the front door itself: every event counts once, also where that was killed.

Run by `make sdk`. While a library's request waits for Kafka's acknowledgement the door is killed, or answers 503; what
the library then does by itself is all that is done.
"""

from __future__ import annotations

import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from collect.doors import Door, door_for_sdks
from sdk.sdks import BUILT, HERE, OWN, SERVERS

from pipeline.collect.model import IDENTIFY

pytestmark = pytest.mark.usefixtures("needs_embedded")

PLAN = """
product: Recorded
unknown_events: keep
lateness: 3650d
dedupe: 30d
collect: {}
events: {purchase: {value: amount, properties: {amount: number}}}
"""
#: Those that send again by themselves after an answer of 503; after a lost connection Amplitude's waits for ever.
PATIENT = [("python", "segment"), ("python", "posthog"), ("python", "amplitude"), ("node", "segment")]


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    """A door whose key is the one in the scripts."""
    with door_for_sdks(tmp_path, PLAN, collect_timeout_s=0.5) as made:
        yield made


def begin(door: Door, language: str, script: str, *arguments: str) -> subprocess.Popen[bytes]:
    """Start a script that makes its calls by its library."""
    command, folder = ["node", f"{script}.mjs"], BUILT / "node"
    if language == "python":
        command, folder = [str(BUILT / "python/bin/python"), "-P", f"{script}.py"], HERE / "python"
    return subprocess.Popen([*command, f"http://127.0.0.1:{door.port}", "wk", *arguments], cwd=folder)


def counted(door: Door) -> Counter[str]:
    """The events that count: name, user, own properties."""

    def said(fields: dict[str, Any]) -> str:
        properties = fields.get("properties") or {}
        return repr((fields["event"], fields.get("user_id"), {k: properties[k] for k in OWN if k in properties}))

    return Counter(said(fields) for fields in door.accepted())


def right(call: tuple[str, ...]) -> Counter[str]:
    """What a script's calls mean."""
    return Counter(repr((one[0], one[1], one[3])) for one in SERVERS[call] if one[0] not in (IDENTIFY, "refused"))


@pytest.mark.parametrize("call", SERVERS, ids=" ".join)
def test_every_event_counts_once(door: Door, call: tuple[str, ...]) -> None:
    assert begin(door, *call).wait(120) == 0
    assert counted(door) == right(call)
    assert "Traceback" not in door.log


@pytest.mark.parametrize("call", [call for call in PATIENT if "amplitude" not in call], ids=" ".join)
def test_it_counts_once_where_the_door_was_killed_before_it_could_answer(door: Door, call: tuple[str, ...]) -> None:
    door.freeze()
    running = begin(door, *call)
    until_waiting(door)
    door.end(signal.SIGKILL)
    door.thaw()
    door.start()
    assert running.wait(120) == 0
    assert counted(door) == right(call)


@pytest.mark.parametrize("call", PATIENT, ids=" ".join)
def test_it_counts_once_where_kafka_was_away(door: Door, call: tuple[str, ...]) -> None:
    door.freeze()
    running = begin(door, *call)
    until_refused(door)
    door.thaw()
    assert running.wait(120) == 0
    assert counted(door) == right(call)


def until_waiting(door: Door) -> None:
    """Until a request waits for Kafka."""
    deadline = time.monotonic() + 60
    while not door.ask("GET", "/health").data["waiting_bytes"]:
        assert time.monotonic() < deadline, "no request came"


def until_refused(door: Door) -> None:
    """Until one was answered with 503."""
    deadline = time.monotonic() + 60
    while 'status="503"' not in door.ask("GET", "/metrics").body.decode():
        assert time.monotonic() < deadline, "no answer of 503"
