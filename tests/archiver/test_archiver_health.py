"""What an archiver says of itself before it has partitions."""

from __future__ import annotations

from pipeline.archiver.archiver import Archiver
from pipeline.settings import Settings
from schemas.plan import Plan


async def test_it_is_not_ready_and_claims_no_lag_before_the_group_gave_it_partitions() -> None:
    plan = Plan.model_validate({"product": "Test", "events": {"look": {}}})
    archiver = Archiver(Settings(), plan, partitions=2)
    # The consumer says so once when it subscribes, long before it is a member of the group.
    await archiver.on_partitions_revoked(set())
    health = archiver.health()
    assert (health["ready"], health["lag"], health["stored"]) == (False, None, {})
    assert health["problems"]["kafka"] == "not joined yet"
