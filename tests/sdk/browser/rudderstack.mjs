// What a page with RudderStack's library does.
import { RudderAnalytics } from "@rudderstack/analytics-js/bundled";
const { host, key } = window.where;
const analytics = new RudderAnalytics();
analytics.load(key, host, { configUrl: host, logLevel: "DEBUG" });
analytics.ready(() => {});
analytics.page("home");
analytics.track("view_item", { item_id: "i7" });
analytics.identify("u1", { plan: "pro" });
analytics.track("purchase", { amount: 19.9 });
analytics.group("org1", { n: 2 });
analytics.alias("u2", "u1");
setTimeout(() => (window.done = true), 4000);
