"""Where a visit came from, by what its SDK says of it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.collect.enrich.channel import channel

PAGE = "https://shop.example/p/1"
WECHAT = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148 MicroMessenger/8.0.50"
)


def of_utm(source: str = "", medium: str = "", campaign: str = "") -> str:
    found = channel({"properties": {"utm_source": source, "utm_medium": medium, "utm_campaign": campaign}})
    return found.get("channel", "")


def of_referrer(url: str, page: str = PAGE, agent: str = "") -> str:
    return channel({"properties": {"page_url": page, "page_referrer": url}}, agent).get("channel", "")


@pytest.mark.parametrize(
    ("source", "medium", "campaign", "expected"),
    [
        ("(direct)", "(none)", "", "Direct"),
        ("google", "cpc", "cross-network", "Cross-network"),
        ("amazon.com", "cpc", "", "Paid Shopping"),
        ("any", "cpc", "summer-shopping", "Paid Shopping"),
        ("google", "cpc", "", "Paid Search"),
        ("google.com", "PPC", "", "Paid Search"),
        ("facebook", "paid_social", "", "Paid Social"),
        ("youtube.com", "cpc", "", "Paid Video"),
        ("any", "banner", "", "Display"),
        ("any", "cpm", "", "Display"),
        ("any", "retargeting", "", "Paid Other"),
        ("taobao.com", "", "", "Organic Shopping"),
        ("zhihu", "", "", "Organic Social"),
        ("any", "social-media", "", "Organic Social"),
        ("bilibili.com", "", "", "Organic Video"),
        ("any", "video", "", "Organic Video"),
        ("bing", "organic", "", "Organic Search"),
        ("sogou.com", "", "", "Organic Search"),
        ("newsletter", "e-mail", "", "Email"),
        ("partner", "affiliate", "", "Affiliates"),
        ("blog.example", "referral", "", "Referral"),
        ("podcast", "audio", "", "Audio"),
        ("sms", "", "", "SMS"),
        ("any", "web_push", "", "Mobile Push Notifications"),
        ("any", "poster", "", "Unassigned"),
        ("", "", "autumn", "Unassigned"),
        # The ones of their own, however they are written.
        ("weixin", "", "", "WeChat"),
        ("微信", "social", "", "WeChat"),
        ("WeChat", "cpc", "", "WeChat Ads"),
        ("小红书", "", "", "Xiaohongshu"),
        ("xhs", "信息流", "", "Xiaohongshu Ads"),
        ("抖音", "", "", "Douyin"),
        ("douyin", "cpm", "", "Douyin Ads"),
        ("微博", "", "", "Weibo"),
        ("baidu", "organic", "", "Baidu"),
        ("baidu", "cpc", "", "Baidu Ads"),
        ("百度", "竞价", "", "Baidu Ads"),
        ("贴吧", "", "", "Organic Social"),
    ],
)
def test_parameters_say_the_channel(source: str, medium: str, campaign: str, expected: str) -> None:
    assert of_utm(source, medium, campaign) == expected


@pytest.mark.parametrize(
    ("referrer", "expected"),
    [
        ("https://www.google.com/", "Organic Search"),
        ("https://www.google.co.uk/search?q=x", "Organic Search"),
        ("android-app://com.google.android.gm/", "Referral"),
        ("https://www.baidu.com/link?url=x", "Baidu"),
        ("https://tieba.baidu.com/p/1", "Organic Social"),
        ("https://mp.weixin.qq.com/s/x", "WeChat"),
        ("https://www.xiaohongshu.com/explore/1", "Xiaohongshu"),
        ("https://xhslink.com/a", "Xiaohongshu"),
        ("https://v.douyin.com/abc/", "Douyin"),
        ("https://weibo.com/u/1", "Weibo"),
        ("http://t.cn/abc", "Weibo"),
        ("https://t.co/abc", "Organic Social"),
        ("https://l.facebook.com/l.php", "Organic Social"),
        ("https://m.youtube.com/watch?v=1", "Organic Video"),
        ("https://www.amazon.de/", "Organic Shopping"),
        ("https://blog.example/", "Referral"),
        # Whose name ends like a known one's, or has it in the middle of a word, is somebody else.
        ("https://notgoogle.com/", "Referral"),
        ("https://fox.com/", "Referral"),
        ("https://baidu.com.evil.example/", "Referral"),
        ("", "Direct"),
        ("not a url", "Direct"),
        ("http://[", "Direct"),
        # Within the site nobody came from anywhere.
        ("https://shop.example/", ""),
        ("https://www.shop.example/", ""),
        ("https://m.shop.example/", ""),
    ],
)
def test_without_parameters_the_referrer_says_it(referrer: str, expected: str) -> None:
    assert of_referrer(referrer) == expected


def test_an_apps_browser_hides_the_referrer_but_not_itself() -> None:
    assert of_referrer("", agent=WECHAT) == "WeChat"
    assert of_referrer("https://www.google.com/", agent=WECHAT) == "Organic Search"
    assert of_utm("weibo", "cpc") == "Weibo Ads"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("gclid=x", "Paid Search"),
        ("bd_vid=x", "Baidu Ads"),
        ("gdt_vid=x", "WeChat Ads"),
        ("ttclid=x", "Paid Video"),
        ("fbclid=x", "Organic Social"),
        ("utm_source=newsletter&utm_medium=email&gclid=x", "Email"),
        ("utm_source=weixin&utm_campaign=%E5%8F%8C%E5%8D%81%E4%B8%80", "WeChat"),
    ],
)
def test_the_page_s_own_address_says_it_where_the_sdk_does_not(query: str, expected: str) -> None:
    assert channel({"properties": {"$current_url": f"{PAGE}?{query}"}})["channel"] == expected


@pytest.mark.parametrize(
    "properties",
    [
        {"utm_source": "weixin", "utm_medium": "cpc", "utm_campaign": "Autumn"},
        {"$utm_source": "weixin", "$utm_medium": "cpc", "$utm_campaign": "Autumn"},
        {"$latest_utm_source": "weixin", "$latest_utm_medium": "cpc", "$latest_utm_campaign": "Autumn"},
        {"context": {"campaign": {"source": "weixin", "medium": "cpc", "name": "Autumn"}}},
        {"context": {"page": {"url": f"{PAGE}?utm_source=weixin&utm_medium=cpc&utm_campaign=Autumn"}}},
        {"page_location": f"{PAGE}?utm_source=weixin&utm_medium=cpc&utm_campaign=Autumn"},
        {"$url": f"{PAGE}?utm_source=weixin&utm_medium=cpc&utm_campaign=Autumn"},
        {"page_url": f"{PAGE}?utm_source=weixin&utm_medium=cpc&utm_campaign=Autumn"},
    ],
)
def test_every_sdk_s_way_of_saying_it_is_one(properties: dict[str, Any]) -> None:
    assert channel({"properties": properties}) == {"channel": "WeChat Ads", "campaign": "Autumn"}


@pytest.mark.parametrize(
    "fields", [{}, {"properties": None}, {"properties": {"amount": 1}}, {"properties": {"url": 7}}]
)
def test_an_event_that_tells_nothing_of_a_visit_has_no_channel(fields: dict[str, Any]) -> None:
    assert channel(fields) == {}


words = st.text(max_size=20) | st.sampled_from(["utm_source", "$direct", "https://x.example/?utm_source=a", "http://["])
values = st.none() | st.integers() | words | st.dictionaries(words, words, max_size=2)


@given(
    st.dictionaries(
        st.sampled_from(
            ["utm_source", "utm_medium", "utm_campaign", "url", "referrer", "context", "$url", "$referrer"]
        ),
        values | st.fixed_dictionaries({"campaign": values, "page": values}),
    ),
    st.text(max_size=30),
)
def test_anything_has_a_short_channel_or_none(properties: dict[str, Any], agent: str) -> None:
    found = channel({"properties": properties}, agent)
    assert set(found) <= {"channel", "campaign"}
    assert all(0 < len(value) <= 256 for value in found.values())
