// What a page with Snowplow's tracker does.
import { newTracker, trackPageView, trackSelfDescribingEvent, trackStructEvent, setUserId } from "@snowplow/browser-tracker";
const { host, key } = window.where;
newTracker("sp", host, { appId: key, bufferSize: 1 });
trackPageView();
trackStructEvent({ category: "shop", action: "view_item", label: "i7", value: 2.5 });
setUserId("u1");
trackSelfDescribingEvent({ event: { schema: "iglu:com.acme/purchase/jsonschema/1-0-0", data: { amount: 19.9 } } });
setTimeout(() => (window.done = true), 3000);
