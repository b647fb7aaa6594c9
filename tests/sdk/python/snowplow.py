"""What a backend with Snowplow's tracker does: arguments are the address of the server and a key (the app id)."""

import sys

from snowplow_tracker import (
    Emitter,
    PagePing,
    PageView,
    SelfDescribing,
    SelfDescribingJson,
    StructuredEvent,
    Subject,
    Tracker,
)

host, key, method = (*sys.argv[1:], "post")[:3]
name, port = host.removeprefix("http://").split(":")
emitter = Emitter(name, protocol="http", port=int(port), method=method, batch_size=1 if method == "get" else 10)
subject = (
    Subject().set_user_id("u1").set_platform("srv").set_lang("de").set_domain_user_id("d1").set_domain_session_id("s1")
)
tracker = Tracker(namespace="ns", emitters=[emitter], app_id=key, subject=subject, encode_base64=True)
at = 1795613398047
tracker.track(
    PageView("https://shop.example/?utm_source=weixin", "Shop", referrer="https://www.baidu.com/"),
)
tracker.track(PagePing("https://shop.example/", "Shop", max_x=10))
tracker.track(StructuredEvent("shop", "add_to_cart", label="i7", property_="red", value=2.5, true_timestamp=at))
tracker.track(
    SelfDescribing(
        SelfDescribingJson("iglu:com.acme/purchase/jsonschema/1-0-0", {"amount": 19.9}),
        true_timestamp=at,
        context=[SelfDescribingJson("iglu:com.acme/cart/jsonschema/1-0-0", {"items": 2})],
    )
)
tracker.flush()
