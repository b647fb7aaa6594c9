"""Where a visit came from: a channel, from UTM parameters, ids of clicked ads, the referrer and the app it happens in.

The groups are those of Google Analytics 4 in its order (https://support.google.com/analytics/answer/9756891), and
before them one each for 微信, 小红书, 抖音, 微博 and 百度, with a second one for their ads. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl, urlsplit

#: Characters of a URL that are looked at.
_MAX_URL: Final = 4_000
_MAX_LABEL: Final = 256
#: Pages are few, and most events are of one that was seen a moment ago.
_REMEMBERED: Final = 2_000

#: Own groups: name, words by which `utm_source` means it, hosts, what its app's user agent has.
_OWN: Final = (
    ("WeChat", {"weixin", "wechat", "wx", "微信", "gzh", "公众号", "视频号", "朋友圈"},
     ("weixin.qq.com", "wx.qq.com", "wechat.com", "weixin110.qq.com"), "MicroMessenger"),
    ("Xiaohongshu", {"xiaohongshu", "xhs", "小红书", "rednote"},
     ("xiaohongshu.com", "xhslink.com", "rednote.com"), "xiaohongshu"),
    ("Douyin", {"douyin", "dy", "抖音", "iesdouyin"}, ("douyin.com", "iesdouyin.com", "amemv.com"), "aweme"),
    ("Weibo", {"weibo", "wb", "微博", "sina_weibo", "sinaweibo"}, ("weibo.com", "weibo.cn", "t.cn"), "Weibo"),
    ("Baidu", {"baidu", "bd", "百度"}, ("baidu.com",), "baiduboxapp"),
)  # fmt: skip

_SEARCH: Final = (
    "google.", "bing.com", "yahoo.", "duckduckgo.com", "yandex.", "ecosia.org", "naver.com", "daum.net", "seznam.cz",
    "sogou.com", "so.com", "sm.cn", "startpage.com", "qwant.com", "search.brave.com", "ask.com", "aol.com",
)  # fmt: skip
_SOCIAL: Final = (
    "facebook.com", "fb.com", "fb.me", "instagram.com", "threads.net", "twitter.com", "x.com", "t.co", "linkedin.com",
    "lnkd.in", "reddit.com", "pinterest.", "tumblr.com", "quora.com", "vk.com", "ok.ru", "whatsapp.com", "telegram.org",
    "t.me", "snapchat.com", "discord.com", "zhihu.com", "douban.com", "tieba.baidu.com", "qzone.qq.com", "line.me",
    "kakao.com", "bsky.app", "mastodon.social",
)  # fmt: skip
_VIDEO: Final = (
    "youtube.com", "youtu.be", "vimeo.com", "twitch.tv", "tiktok.com", "dailymotion.com", "netflix.com", "bilibili.com",
    "b23.tv", "kuaishou.com", "youku.com", "iqiyi.com", "v.qq.com",
)  # fmt: skip
_SHOPPING: Final = (
    "amazon.", "ebay.", "etsy.com", "aliexpress.", "alibaba.com", "walmart.com", "shopping.google.", "shopping.yahoo.",
    "shopee.", "lazada.", "mercadolibre.", "taobao.com", "tmall.com", "jd.com", "pinduoduo.com", "yangkeduo.com",
    "1688.com", "vip.com",
)  # fmt: skip
#: Parameters that an ad's click leaves in the URL: the medium that it means.
_CLICKS: Final = {
    "gclid": ("google", "cpc"), "gbraid": ("google", "cpc"), "wbraid": ("google", "cpc"),
    "dclid": ("google", "display"), "msclkid": ("bing", "cpc"), "yclid": ("yandex", "cpc"), "bd_vid": ("baidu", "cpc"),
    "gdt_vid": ("weixin", "cpc"), "qz_gdt": ("weixin", "cpc"), "ttclid": ("tiktok", "cpc"),
    "twclid": ("twitter", "cpc"), "li_fat_id": ("linkedin", "cpc"), "rdt_cid": ("reddit", "cpc"),
    "fbclid": ("facebook", "social"),
}  # fmt: skip

_PAID: Final = re.compile(r".*cp.*|ppc|retargeting|paid.*|ads?|信息流|竞价")
_SHOPPING_CAMPAIGN: Final = re.compile(r"(?:.*[^a-df-z])?shop(?:ping)?(?:[^a-z].*)?")
_SOCIAL_MEDIUM: Final = {"social", "social-network", "social-media", "sm", "social network", "social media"}
_DISPLAY: Final = {"display", "banner", "expandable", "interstitial", "cpm"}
_EMAIL: Final = {"email", "e-mail", "e_mail", "e mail"}
_NONE: Final = {"", "(none)", "(not set)", "none"}


class Arrival(NamedTuple):
    """What is known of how somebody came: `utm` parts in small letters, hosts of the referrer and of the page."""

    source: str = ""
    medium: str = ""
    campaign: str = ""
    referrer: str = ""
    page: str = ""
    user_agent: str = ""


def channel(fields: Mapping[str, Any], user_agent: str = "") -> dict[str, str]:
    """`channel` and `campaign` of an event, as far as it tells; {} for one that tells nothing of how its person came.

    `fields`: the envelope, with what SDKs know under `properties`.
    """
    if not tells(fields.get("referrer"), fields.get("properties")):
        return {}
    arrival = arrival_of(fields, user_agent)
    found = {"channel": group(arrival)}
    campaign = arrival.campaign
    if campaign:
        found["campaign"] = campaign[:_MAX_LABEL]
    return {name: value for name, value in found.items() if value}


def group(arrival: Arrival) -> str:
    """The channel of a visit, "" where nothing is known of it."""
    source, medium = arrival.source.lower(), arrival.medium.lower()
    campaign = arrival.campaign.lower()
    if not source and medium in _NONE and not campaign:
        return _untagged(arrival)
    if not source and arrival.referrer and not _same_site(arrival.referrer, arrival.page):
        source = arrival.referrer
    paid = _PAID.fullmatch(medium) is not None
    own = _own(source)
    if own:
        return f"{own} Ads" if paid or medium in _DISPLAY else own
    kind = _kind(source)
    shopping = kind == "Shopping" or _SHOPPING_CAMPAIGN.fullmatch(campaign) is not None
    rules = (
        (source in ("direct", "(direct)") and medium in _NONE, "Direct"),
        ("cross-network" in campaign, "Cross-network"),
        (shopping and paid, "Paid Shopping"),
        (kind == "Search" and paid, "Paid Search"),
        (kind == "Social" and paid, "Paid Social"),
        (kind == "Video" and paid, "Paid Video"),
        (medium in _DISPLAY, "Display"),
        (paid, "Paid Other"),
        (shopping, "Organic Shopping"),
        (kind == "Social" or medium in _SOCIAL_MEDIUM, "Organic Social"),
        (kind == "Video" or "video" in medium, "Organic Video"),
        (kind == "Search" or medium == "organic", "Organic Search"),
        (source in _EMAIL or medium in _EMAIL, "Email"),
        (medium in ("affiliate", "affiliates"), "Affiliates"),
        (medium in ("referral", "app", "link"), "Referral"),
        (medium == "audio", "Audio"),
        (source == "sms" or medium in ("sms", "短信"), "SMS"),
        (medium.endswith("push") or "mobile" in medium or "notification" in medium, "Mobile Push Notifications"),
    )
    return next((name for holds, name in rules if holds), "Unassigned")


def _untagged(arrival: Arrival) -> str:
    """Of a visit without parameters the referrer tells, and the app in whose browser it happens, which hides it."""
    if arrival.referrer and _same_site(arrival.referrer, arrival.page):
        return ""  # from a page of the site to the next
    if arrival.referrer:
        return _own(arrival.referrer) or _ORGANIC.get(_kind(arrival.referrer), "Referral")
    if not arrival.page:
        return ""
    return next((name for name, _, _, app in _OWN if app in arrival.user_agent), "Direct")


_ORGANIC: Final = {
    "Search": "Organic Search", "Social": "Organic Social", "Video": "Organic Video", "Shopping": "Organic Shopping",
}  # fmt: skip


def _own(source: str) -> str:
    if _in(source, ("tieba.baidu.com",)):
        return ""
    for name, words, hosts, _ in _OWN:
        if source in words or _in(source, hosts):
            return name
    return ""


def _kind(source: str) -> str:
    """Search, Social, Video or Shopping, of a host or of a name in utm_source; "" of others."""
    for name, hosts in (("Shopping", _SHOPPING), ("Social", _SOCIAL), ("Video", _VIDEO), ("Search", _SEARCH)):
        if _in(source, hosts) or source in _FIRST[name]:
            return name
    return ""


_SHORT: Final = {
    "Social": {"fb", "ig", "insta", "meta", "qq", "知乎", "豆瓣", "贴吧", "tieba"},
    "Video": {"yt", "快手", "b站", "哔哩哔哩"},
    "Shopping": {"淘宝", "天猫", "京东", "拼多多"},
    "Search": {"360", "搜狗", "神马", "shenma", "必应", "谷歌"},
}
_FIRST: Final = {
    name: {host.split(".")[0] for host in hosts if host.count(".") == 1 and len(host.split(".")[0]) > 2} | _SHORT[name]
    for name, hosts in (("Shopping", _SHOPPING), ("Social", _SOCIAL), ("Video", _VIDEO), ("Search", _SEARCH))
}


#: What follows the name of one that is in many countries: com, de, co.uk.
_COUNTRY: Final = re.compile(r"[a-z]{2,3}(?:\.[a-z]{2})?")


def _in(host: str, hosts: tuple[str, ...]) -> bool:
    """Whether a host is one of `hosts` or below it; one that ends with a dot stands for every country."""
    for known in hosts:
        if known.endswith("."):
            before, found, country = f".{host}".partition(f".{known}")
            if found and before.count(".") < 3 and _COUNTRY.fullmatch(country):
                return True
        elif host == known or host.endswith(f".{known}"):
            return True
    return False


def _same_site(one: str, other: str) -> bool:
    """Whether two hosts are one, or one is below the other."""
    one, other = one.removeprefix("www."), other.removeprefix("www.")
    return one == other or (bool(one and other) and (one.endswith(f".{other}") or other.endswith(f".{one}")))


#: Where SDKs write the parameters of the visit: prefix of the properties.
_PREFIXES: Final = ("utm_", "$utm_", "$latest_utm_")
#: Where they write the page's address and where it came from.
_PAGES: Final = ("page_url", "$current_url", "page_location", "$url", "url")
_REFERRERS: Final = ("page_referrer", "$referrer", "referrer", "$latest_referrer")


#: All of these, and what stands in a context: most events have none, and tell nothing of how their person came.
_TELLING: Final = frozenset(
    {
        *_PAGES,
        *_REFERRERS,
        *(f"{one}{name}" for one in _PREFIXES for name in ("source", "medium", "campaign")),
    }
)


def tells(referrer: Any, properties: Any) -> bool:
    """Whether an event tells how its person came: by these two fields of it, whatever they may be."""
    if referrer:
        return True
    if not isinstance(properties, dict):
        return False
    context = properties.get("context")
    return not _TELLING.isdisjoint(properties) or (
        isinstance(context, dict) and ("page" in context or "campaign" in context)
    )


def arrival_of(fields: Mapping[str, Any], user_agent: str = "") -> Arrival:
    """How the person of an event came, from wherever its SDK writes that."""
    properties = fields.get("properties")
    properties = properties if isinstance(properties, dict) else {}
    context = properties.get("context")
    context = context if isinstance(context, dict) else {}
    page = context.get("page")
    page = page if isinstance(page, dict) else {}
    url = next((text for name in _PAGES if (text := _text(properties.get(name)))), "") or _text(page.get("url"))
    referrer = (
        next((text for name in _REFERRERS if (text := _text(properties.get(name)))), "")
        or _text(page.get("referrer"))
        or _text(fields.get("referrer"))
    )
    said = _said(properties, context) or _in_url(url[:_MAX_URL])
    return Arrival(*said, _host(referrer[:_MAX_URL]), _host(url[:_MAX_URL]), user_agent) if said else Arrival(
        referrer=_host(referrer[:_MAX_URL]), page=_host(url[:_MAX_URL]), user_agent=user_agent
    )  # fmt: skip


def _said(properties: Mapping[str, Any], context: Mapping[str, Any]) -> tuple[str, str, str] | None:
    for prefix in _PREFIXES:
        found = tuple(_text(properties.get(prefix + name)) for name in ("source", "medium", "campaign"))
        if any(found):
            return found[0], found[1], found[2]
    campaign = context.get("campaign")
    if isinstance(campaign, dict):
        found = tuple(_text(campaign.get(name)) for name in ("source", "medium", "name"))
        if any(found):
            return found[0], found[1], found[2]
    return None


@lru_cache(maxsize=_REMEMBERED)
def _in_url(url: str) -> tuple[str, str, str] | None:
    query = _query(url)
    found = tuple(query.get(f"utm_{name}", "") for name in ("source", "medium", "campaign"))
    if any(found):
        return found[0], found[1], found[2]
    for name, (source, medium) in _CLICKS.items():
        if query.get(name):
            return source, medium, ""
    return None


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) and value != "$direct" else ""


def _query(url: str) -> dict[str, str]:
    try:
        return dict(reversed(parse_qsl(urlsplit(url).query, max_num_fields=100)))
    except ValueError:
        return {}


@lru_cache(maxsize=_REMEMBERED)
def _host(url: str) -> str:
    """The host of a URL, in small letters; "" of what is none."""
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:
        return ""
