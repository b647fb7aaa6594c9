// What a page with PostHog's library does.
import posthog from "posthog-js";
const { host, key } = window.where;
posthog.init(key, { api_host: host, autocapture: false, request_batching: true });
posthog.capture("view_item", { item_id: "i7" });
posthog.identify("u1", { plan: "pro" }, { first: "x" });
posthog.capture("purchase", { amount: 19.9 });
posthog.group("company", "org1", { n: 2 });
posthog.alias("u2");
posthog.setPersonProperties({ vip: true });
setTimeout(() => (window.done = true), 5000);
