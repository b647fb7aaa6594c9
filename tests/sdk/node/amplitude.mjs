// What a backend with Amplitude's library does: arguments are the address of the server and a key.
import { init, track, identify, Identify, flush } from "@amplitude/analytics-node";
const [host, key] = process.argv.slice(2);
const options = { user_id: "u1", device_id: "d1", time: 1795613398047 };
await init(key, { serverUrl: host + "/2/httpapi", flushQueueSize: 20 }).promise;
track("purchase", { amount: 19.9 }, { ...options, insert_id: "i1" });
identify(new Identify().set("plan", "pro"), { ...options, insert_id: "i2" });
await flush().promise;
