"""What a backend with Mixpanel's library does: arguments are the address of the server and a token."""

import sys

import mixpanel

host, key = sys.argv[1:]
urls = {
    "events_url": f"{host}/track",
    "people_url": f"{host}/engage",
    "groups_url": f"{host}/groups",
    "import_url": f"{host}/import",
}
# Its alias goes to the library's own address, whatever is configured: nobody can move it but here.
mixpanel.Consumer.__init__.__defaults__ = (
    *(urls[name] for name in ("events_url", "people_url", "import_url")),
    None,
    urls["groups_url"],
    *mixpanel.Consumer.__init__.__defaults__[5:],
)
client = mixpanel.Mixpanel(key, mixpanel.BufferedConsumer(max_size=10, **urls))
at = 1795613398
extra = {"time": at, "$insert_id": "i1"}
client.track("u1", "purchase", {"amount": 19.9, **extra})
client.track("$device:d1", "view_item", {"$device_id": "d1", "time": at, "$insert_id": "i2"})
client.alias("u1", "a1")
client.people_set("u1", {"$email": "u1@shop.example", "plan": "pro"}, {"$time": at})
client.people_set_once("u1", {"first": "x"}, {"$time": at})
client.people_increment("u1", {"orders": 1}, {"$time": at})
client.people_append("u1", {"tags": "a"}, {"$time": at})
client.people_unset("u1", ["plan"], {"$time": at})
client.people_delete("u2", {"$time": at})
client.group_set("company", "org1", {"n": 2}, {"$time": at})
client._consumer.flush()
client = mixpanel.Mixpanel(key)
client.track("u1", "share", {"time": at, "$insert_id": "i3"})
client.import_data(None, "u1", "sign_up", at, {"$insert_id": "i4"}, api_secret="secret")
client.merge(None, "u1", "a9", api_secret="secret")
