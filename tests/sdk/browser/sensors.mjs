// What a page with Sensors' library does.
import sensors from "sa-sdk-javascript";
const { host, key } = window.where;
// What can't be sent is kept only where batches are.
const batches = location.hash === "#batch" ? { send_interval: 1000, datasend_timeout: 3000 } : false;
sensors.init({
  server_url: `${host}/sa.gif?project=default&token=${key}`, send_type: "ajax", show_log: false, heatmap: {}, batch_send: batches,
});
sensors.quick("autoTrack");
sensors.track("view_item", { item_id: "i7", price: 1.5 });
sensors.login("u1");
sensors.track("purchase", { amount: 19.9 });
sensors.setProfile({ vip: true });
sensors.setOnceProfile({ first: "x" });
sensors.incrementProfile({ orders: 1 });
setTimeout(() => (window.done = true), 4000);
