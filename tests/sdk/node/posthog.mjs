// What a backend with PostHog's library does: arguments are the address of the server and a project key.
import { PostHog } from "posthog-node";
const [host, key] = process.argv.slice(2);
const client = new PostHog(key, { host, flushAt: 20 });
const timestamp = new Date("2026-11-25T13:29:57.000Z");
client.capture({ distinctId: "u1", event: "purchase", properties: { amount: 19.9 }, groups: { company: "org1" }, timestamp });
client.identify({ distinctId: "u1", properties: { plan: "pro" } });
client.alias({ distinctId: "u1", alias: "a1" });
client.groupIdentify({ groupType: "company", groupKey: "org1", properties: { n: 1 } });
await client.shutdown();
