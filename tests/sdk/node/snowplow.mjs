// What a backend with Snowplow's tracker does: arguments are the address of the server and a key (the app id).
import { newTracker, buildSelfDescribingEvent, buildStructEvent, buildPageView } from "@snowplow/node-tracker";
const [host, key] = process.argv.slice(2);
const tracker = newTracker({ namespace: "ns", appId: key, encodeBase64: false }, { endpoint: host, eventMethod: "post", bufferSize: 1 });
tracker.setUserId("u1");
tracker.track(buildSelfDescribingEvent({ event: { schema: "iglu:com.acme/purchase/jsonschema/1-0-0", data: { amount: 19.9 } } }));
tracker.track(buildStructEvent({ category: "shop", action: "add_to_cart", value: 2.5 }));
tracker.track(buildPageView({ pageUrl: "https://shop.example/", pageTitle: "Shop" }));
tracker.flush();
