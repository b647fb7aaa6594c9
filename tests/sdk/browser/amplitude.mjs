// What a page with Amplitude's library does.
import * as amplitude from "@amplitude/analytics-browser";
const { host, key } = window.where;
await amplitude.init(key, { serverUrl: host + "/2/httpapi", autocapture: false, fetchRemoteConfig: false }).promise;
amplitude.track("view_item", { item_id: "i7" });
amplitude.setUserId("u1");
amplitude.identify(new amplitude.Identify().set("plan", "pro"));
// Not flush(): what that sends is given up where it is refused.
await amplitude.track("purchase", { amount: 19.9 }).promise;
window.done = true;
