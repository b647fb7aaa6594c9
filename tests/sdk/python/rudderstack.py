"""What a backend with RudderStack's library does: arguments are the address of the server and a write key."""

import sys
from datetime import UTC, datetime

from rudderstack.analytics.client import Client

host, key = sys.argv[1:]
client = Client(key, host=host, gzip=True)
at = datetime(2026, 11, 25, 13, 29, 57, tzinfo=UTC)
client.identify("u1", {"plan": "pro"}, anonymous_id="a1", timestamp=at, message_id="m1")
client.track("u1", "purchase", {"amount": 19.9}, timestamp=at, message_id="m2")
client.shutdown()
