"""What real SDKs sent, sent again to a front door: events of the plan in Kafka, and once more counts nothing twice."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from collect.doors import Door, Said

from pipeline.collect.sources import hashed

pytestmark = pytest.mark.usefixtures("needs_embedded")

SDK = Path(__file__).parents[1] / "data" / "sdk"
#: The write key that the recordings have.
RECORDED_KEY = "wk"
PLAN = """
product: Recorded
unknown_events: keep
lateness: 3650d
dedupe: 30d
collect: {}
events: {purchase: {value: amount, properties: {amount: number}}}
"""


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    made = Door(tmp_path_factory.mktemp("recorded"), plan_text=PLAN)
    known = json.loads(made.sources.read_text())
    known["sources"][0]["key_sha256"] = hashed(RECORDED_KEY)
    made.sources.write_text(json.dumps(known))
    try:
        made.start()
        yield made
    finally:
        made.close()


def recorded(*names: str) -> list[dict[str, Any]]:
    return [json.loads(line) for name in names for line in (SDK / f"{name}.jsonl").read_text("utf-8").splitlines()]


def send(door: Door, line: dict[str, Any]) -> Said:
    body = line["body"].encode()
    if line["gzip"]:
        body = gzip.compress(body)
    return door.ask(line["method"], line["target"], body or None, line["headers"])


def test_every_recorded_request_is_answered_as_its_sdk_expects_and_counts_once(door: Door) -> None:
    lines = recorded("python", "node", "browser")
    said = [send(door, line) for line in lines]
    # Where a call only asks for what is not done here (taking attributes away), that is said.
    odd = [(line["target"], one.body) for line, one in zip(lines, said, strict=True) if one.status not in (200, 204)]
    assert all(b"unsupported" in body for _, body in odd), odd
    assert len(odd) <= 2
    spoken = {line["protocol"] for line in lines}
    assert spoken >= {"segment", "posthog", "sensors", "snowplow", "amplitude", "mixpanel"}
    counted = sorted(fields["event_id"] for fields in door.accepted())
    assert len(counted) > 40
    assert {fields["source"] for fields in door.accepted()} == {"web"}
    for line in lines:
        send(door, line)
    assert sorted(fields["event_id"] for fields in door.accepted()) == counted
    assert "Traceback" not in door.log
    assert "mistake" not in door.log
