// What a backend with RudderStack's library does: arguments are the address of the server and a write key.
import RudderAnalytics from "@rudderstack/rudder-sdk-node";
const [host, key] = process.argv.slice(2);
const client = new RudderAnalytics(key, { dataPlaneUrl: host, flushAt: 20, logLevel: "error" });
const originalTimestamp = new Date("2026-11-25T13:29:57.000Z");
client.identify({ userId: "u1", anonymousId: "a1", traits: { plan: "pro" }, originalTimestamp, messageId: "m1" });
client.track({ userId: "u1", event: "purchase", properties: { amount: 19.9 }, originalTimestamp, messageId: "m2" });
client.alias({ userId: "u1", previousId: "a0", originalTimestamp, messageId: "m3" });
await client.flush();
process.exit(0);
