"""What a backend with Sensors' library does: arguments are the address of the server and a token."""

import sys

import sensorsanalytics as sa

host, key = sys.argv[1:]
url = f"{host}/sa?project=default&token={key}"
at = 1795613398047
batch = sa.SensorsAnalytics(sa.BatchConsumer(url, 100), enable_time_free=True)
batch.register_super_properties({"$app_version": "4.2"})
batch.track(
    "a1",
    "view_item",
    {
        "price": 1.5,
        "$time": at,
        "$os": "iOS",
        "$os_version": "18.1",
        "$model": "iPhone17,1",
        "$country": "中国",
        "$city": "上海市",
    },
)
batch.track_signup("u1", "a1", {"$time": at})
batch.profile_set("u1", {"vip": True, "$time": at}, is_login_id=True)
batch.profile_set_once("u1", {"$first_visit_time": "2026-11-25 21:29:58.047", "$time": at}, is_login_id=True)
batch.profile_increment("u1", {"orders": 1, "$time": at}, is_login_id=True)
batch.profile_append("u1", {"tags": ["a"]}, is_login_id=True)
batch.profile_unset("u1", ["vip"], is_login_id=True)
batch.profile_delete("u2", is_login_id=True)
batch.item_set("book", "b1", {"name": "x"})
batch.track("u1", "purchase", {"amount": 19.9, "$time": at}, is_login_id=True)
identity = sa.SensorsAnalyticsIdentity
batch.bind(identity(identity.LOGIN_ID, "u1"), identity(identity.EMAIL, "u1@shop.example"))
batch.unbind(identity(identity.EMAIL, "u1@shop.example"))
batch.track_by_id(
    "share", {"to": "x", "$time": at}, identity(identity.LOGIN_ID, "u1"), identity("$identity_cookie_id", "c1")
)
batch.close()
single = sa.SensorsAnalytics(sa.DefaultConsumer(url))
single.track("a1", "view_item", {"price": 2, "$time": at})
single.close()
