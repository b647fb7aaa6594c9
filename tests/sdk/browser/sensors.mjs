// What a page with Sensors' library does.
import sensors from "sa-sdk-javascript";
const { host, key } = window.where;
sensors.init({ server_url: `${host}/sa.gif?project=default&token=${key}`, send_type: "ajax", show_log: false, heatmap: {} });
sensors.quick("autoTrack");
sensors.track("view_item", { item_id: "i7", price: 1.5 });
sensors.login("u1");
sensors.track("purchase", { amount: 19.9 });
sensors.setProfile({ vip: true });
sensors.setOnceProfile({ first: "x" });
sensors.incrementProfile({ orders: 1 });
setTimeout(() => (window.done = true), 4000);
