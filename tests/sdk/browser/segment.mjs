// What a page with Segment's library does.
import { AnalyticsBrowser } from "@segment/analytics-next";
const { host, key } = window.where;
const analytics = AnalyticsBrowser.load(
  { writeKey: key, cdnURL: host },
  { integrations: { "Segment.io": { apiHost: host.replace("http://", "") + "/v1", protocol: "http" } } },
);
await analytics.page("home");
await analytics.track("view_item", { item_id: "i7" });
await analytics.identify("u1", { plan: "pro" });
await analytics.track("purchase", { amount: 19.9 });
await analytics.group("org1", { n: 2 });
await analytics.alias("u2", "u1");
window.done = true;
