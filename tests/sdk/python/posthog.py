"""What a backend with PostHog's library does: arguments are the address of the server and a project key."""

import sys
from datetime import UTC, datetime

from posthog import Posthog

host, key, *mode = sys.argv[1:]
client = Posthog(
    key,
    host=host,
    gzip="gzip" in mode,
    disable_geoip=True,
    flush_at=100,
    **({"capture_mode": "v1"} if "v1" in mode else {}),
)
at = datetime(2026, 11, 25, 13, 29, 57, tzinfo=UTC)
n = iter(range(1, 20))


def uid() -> str:
    return f"00000000-0000-4000-8000-{next(n):012}"


client.capture(
    "purchase",
    distinct_id="u1",
    timestamp=at,
    uuid=uid(),
    properties={"amount": 19.9, "$set": {"vip": True}, "$set_once": {"first": "x"}},
    groups={"company": "org1"},
)
client.set(distinct_id="u1", properties={"plan": "pro"}, timestamp=at, uuid=uid())
client.set_once(distinct_id="u1", properties={"born": "2026"}, timestamp=at, uuid=uid())
client.alias("a1", "u1", timestamp=at, uuid=uid())
client.group_identify("company", "org1", {"n": 1}, timestamp=at, uuid=uid())
client.capture("cron_ran", timestamp=at, uuid=uid())
client.shutdown()
