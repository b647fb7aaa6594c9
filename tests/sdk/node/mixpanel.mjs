// What a backend with Mixpanel's library does: arguments are the address of the server and a token.
import Mixpanel from "mixpanel";
const [host, key] = process.argv.slice(2);
const { hostname, port } = new URL(host);
const client = Mixpanel.init(key, { host: `${hostname}:${port}`, protocol: "http", verbose: true });
const done = (call) => new Promise((resolve) => call(resolve));
const time = new Date("2026-11-25T13:29:58.000Z");
await done((end) => client.track("purchase", { distinct_id: "u1", amount: 19.9, $insert_id: "i1" }, end));
await done((end) => client.track_batch([{ event: "share", properties: { distinct_id: "u1", time, $insert_id: "i2" } }], {}, end));
await done((end) => client.people.set("u1", { plan: "pro" }, {}, end));
await done((end) => client.alias("a1", "u1", end));
