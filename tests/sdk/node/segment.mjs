// What a backend with Segment's library does: arguments are the address of the server and a write key.
import { Analytics } from "@segment/analytics-node";
const [host, key] = process.argv.slice(2);
const analytics = new Analytics({ writeKey: key, host, path: "/v1/batch", flushAt: 20 });
const timestamp = new Date("2026-11-25T13:29:57.000Z");
analytics.identify({ userId: "u1", anonymousId: "a1", traits: { plan: "pro" }, timestamp, messageId: "m1" });
analytics.track({ userId: "u1", event: "purchase", properties: { amount: 19.9 }, timestamp, messageId: "m2" });
analytics.alias({ userId: "u1", previousId: "a0", timestamp, messageId: "m3" });
analytics.group({ userId: "u1", groupId: "org1", traits: { n: 2 }, timestamp, messageId: "m4" });
analytics.page({ userId: "u1", category: "cat", name: "home", properties: { url: "https://shop.example/" }, timestamp, messageId: "m5" });
await analytics.closeAndFlush();
