// What a backend with Sensors' library does: arguments are the address of the server and a token.
import SensorsAnalytics from "sa-sdk-node";
const [host, key] = process.argv.slice(2);
const client = new SensorsAnalytics();
client.submitTo({ url: `${host}/sa?project=default&token=${key}`, gzip: true, mode: "track", timeout: 5000 });
const $time = new Date(1795613398047);
client.track("u1", "purchase", { amount: 19.9, $time });
client.trackSignup("u1", "a1", { $time });
client.profileSet("u1", { vip: true, $time });
client.itemSet("book", "b1", { name: "x" });
