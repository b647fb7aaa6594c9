"""What a backend with Amplitude's library does: arguments are the address of the server and a key."""

import sys
from threading import Semaphore

from amplitude import Amplitude, BaseEvent, Config, EventOptions, Identify, Revenue

host, key = sys.argv[1:3]
path = "/batch" if "batch" in sys.argv else "/2/httpapi"
done = Semaphore(0)
client = Amplitude(key, Config(server_url=host + path, flush_queue_size=50, callback=lambda *_: done.release()))
at = 1795613398047
options = {"user_id": "u1", "device_id": "d1", "time": at}
client.track(
    BaseEvent(
        "purchase",
        event_properties={"amount": 19.9},
        app_version="4.2",
        platform="iOS",
        os_name="ios",
        os_version="18.1",
        device_model="iPhone17,1",
        language="German",
        country="Germany",
        city="Berlin",
        session_id=1795613398000,
        ip="203.0.113.9",
        **options,
    )
)
client.identify(Identify().set("plan", "pro").set_once("first", "x").add("orders", 1), EventOptions(**options))
client.set_group("company", "org1", EventOptions(**options))
client.group_identify("company", "org1", Identify().set("n", 2), EventOptions(**options))
client.revenue(Revenue(price=3.5, quantity=2, product_id="i7"), EventOptions(**options))
client.flush()
for _ in range(5):
    done.acquire(timeout=60)  # each is told to be done, where the library has to send it again, too
client.shutdown()
