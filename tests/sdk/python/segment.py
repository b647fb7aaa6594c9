"""What a backend with Segment's library does: arguments are the address of the server and a write key."""

import sys
from datetime import UTC, datetime

from segment.analytics.client import Client

host, key = sys.argv[1:]
client = Client(key, host=host, gzip=True, max_retries=3)
at = datetime(2026, 11, 25, 13, 29, 57, tzinfo=UTC)
client.identify("u1", {"plan": "pro"}, anonymous_id="a1", timestamp=at, message_id="m1")
client.track(
    "u1",
    "purchase",
    {"amount": 19.9, "when": at},
    context={
        "ip": "203.0.113.9",
        "locale": "de-DE",
        "campaign": {"name": "autumn", "source": "newsletter", "medium": "email"},
        "app": {"version": "4.2"},
        "os": {"name": "iOS", "version": "18.1"},
        "device": {"type": "ios", "model": "iPhone17,1"},
    },
    timestamp=at,
    message_id="m2",
)
client.alias("a0", "u1", timestamp=at, message_id="m3")
client.group("u1", "org1", {"n": 2}, timestamp=at, message_id="m4")
client.page("u1", "cat", "home", {"url": "https://shop.example/?utm_source=weixin"}, timestamp=at, message_id="m5")
client.screen("u1", "cat", "cart", timestamp=at, message_id="m6")
client.track(None, "view_item", {"item_id": "i7"}, anonymous_id="a2", timestamp=at, message_id="m7")
client.shutdown()
