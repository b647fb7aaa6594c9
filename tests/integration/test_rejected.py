"""Rejected records are kept whole, listed by reason, and sent again once the plan accepts them."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from whole_system import Start, command, last_json, rows, until

from pipeline.demo.role import Role
from pipeline.demo.run import drained
from pipeline.demo.system import System
from pipeline.embedded.child import Child
from pipeline.files.sender import send
from pipeline.ingest.sent import Sent

pytestmark = pytest.mark.integration

PLAN = "product: Test\nevents:\n  look: {}\n"


async def produce(system: System, values: list[bytes]) -> None:
    result = await send(
        [Sent(0, b"u1", value) for value in values],
        kafka=system.settings.kafka_kwargs(),
        topic=system.settings.events_topic,
    )
    assert result.failed == 0


async def test_a_plan_that_learned_an_event_takes_it_in_later(start: Start, tmp_path: Path) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text(PLAN)
    system = await start(plan=str(plan))
    now = int(time.time() * 1000)
    new = [
        json.dumps({"event_id": f"n{i}", "event": "taste", "user_id": "u1", "ts": now + i}).encode() for i in range(3)
    ]
    known = json.dumps({"event_id": "k", "event": "look", "user_id": "u1", "ts": now}).encode()
    await produce(system, [*new, b"\xff\x00 not JSON", known])
    totals = await drained(system, 5)
    assert {name: totals[name] for name in ("accepted", "rejected")} == {"accepted": 1, "rejected": 4}
    assert sorted(await rows(system, "SELECT reason, count() FROM rejected GROUP BY reason")) == [
        ("not_utf8", 1),
        ("unknown_event", 3),
    ]
    assert await rows(system, "SELECT hex(value) FROM rejected WHERE reason = 'not_utf8'") == [
        (b"\xff\x00 not JSON".hex().upper(),)
    ]

    env = system.settings.environment()
    listed = command("rejected", "list", "--json", env=env)
    assert listed.returncode == 0, listed.stderr
    found = {reason["reason"]: reason for reason in last_json(listed.stdout)}
    assert found["unknown_event"]["count"] == 3
    assert "the plan has no event 'taste'" in found["unknown_event"]["detail"]
    assert found["not_utf8"]["samples"] == ["\\xff\x00 not JSON"]

    again = command("rejected", "redrive", "--json", env=env)
    assert last_json(again.stdout) == {"looked_at": 4, "sent": 0, "still_rejected": 4}
    # The plan of another product can judge nothing here.
    other = command("rejected", "redrive", "--plan", "shop", env=env)
    assert other.returncode == 2
    assert "has the events of 'Test', not of 'Demo shop': give its plan with --plan" in other.stderr
    plan.write_text(PLAN + "  taste: {}\n")
    await restarted(system)
    first = command("rejected", "redrive", "--json", env=env)
    assert last_json(first.stdout) == {"looked_at": 4, "sent": 3, "still_rejected": 1}
    second = command("rejected", "redrive", "--json", env=env)
    assert last_json(second.stdout) == {"looked_at": 1, "sent": 0, "still_rejected": 1}

    async def counted() -> bool:
        numbers = await system.worker.ask("/live")
        return bool(numbers and numbers["totals"].get("accepted") == 4)

    await until(counted, "counting what was sent again")
    await drained(system, 8)
    assert sorted(await rows(system, "SELECT event, count() FROM events GROUP BY event")) == [("look", 1), ("taste", 3)]


async def restarted(system: System) -> None:
    """The roles die and come back, with the plan as it is now."""
    for role in (system.worker, system.archiver):
        before = role.process
        assert before is not None
        before.kill()

        async def back(role: Role = role, before: Child = before) -> bool:
            health = await role.ask("/health")
            return role.process is not before and bool(health and health["ready"])

        await until(back, f"the restart of the {role.name}")
