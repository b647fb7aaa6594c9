// What a page with Mixpanel's library does.
import mixpanel from "mixpanel-browser";
const { host, key } = window.where;
mixpanel.init(key, { api_host: host, autocapture: false, track_pageview: false, batch_requests: true, batch_flush_interval_ms: 500 });
mixpanel.track("view_item", { item_id: "i7" });
mixpanel.identify("u1");
mixpanel.people.set({ plan: "pro" });
mixpanel.track("purchase", { amount: 19.9 });
mixpanel.alias("u2", "u1");
setTimeout(() => (window.done = true), 4000);
