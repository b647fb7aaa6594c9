// In a web page. The key is that of a source which takes events of this page's origin.
const DOOR = 'https://events.shop.example/v1/events?key=KEY';

function send(event) {
  const body = JSON.stringify({event_id: crypto.randomUUID(), ts: Date.now(), anonymous_id: device(), ...event});
  // Goes out even while the page is being left; the answer is not seen.
  if (!navigator.sendBeacon(DOOR, body)) fetch(DOOR, {method: 'POST', body, keepalive: true});
}

function device() {
  return localStorage.device ??= crypto.randomUUID();
}
