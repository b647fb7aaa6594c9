"""What a user agent says: device, system and browser (ua-parser), and whether a program crawls (crawler-user-agents).

Needs the extra `collect`. The same text always gives the same answer; as they repeat, answers are remembered.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from pydantic_core import from_json
from ua_parser import parse

_found = find_spec("crawleruseragents")
if _found is None or _found.origin is None:
    raise ImportError("crawler-user-agents is not installed")
#: Read by ourselves: the package reads it in the encoding of the machine, and ends where that is ASCII.
_DATA: Final = Path(_found.origin).with_name("crawler-user-agents.json")

#: Characters of a user agent that are looked at: those of people have less than half.
_MAX_CHARACTERS: Final = 512
_REMEMBERED: Final = 20_000
_MAX_LABEL: Final = 256
#: Browsers within apps, which pass for the system's own: what they have in common, and the app.
_APPS: Final = (
    ("MicroMessenger", "WeChat"), ("aweme", "Douyin"), ("BytedanceWebview", "Douyin"), ("xiaohongshu", "Xiaohongshu"),
    ("Weibo", "Weibo"), ("baiduboxapp", "Baidu"), ("AlipayClient", "Alipay"), ("DingTalk", "DingTalk"),
    ("FBAN/", "Facebook"), ("Instagram", "Instagram"),
)  # fmt: skip
#: How a browser's begins; an app's begins with its own name.
_BROWSERS: Final = ("Mozilla/", "Opera/")
_DESKTOPS: Final = ("Windows", "Linux", "Ubuntu", "Chrome OS", "Debian", "Fedora")
#: Libraries by which honest apps and servers send: no crawlers.
_LIBRARY: Final = "http-library"


def agent(user_agent: str) -> dict[str, str]:
    """`device`, `os`, `browser`, and `bot`, the name of a program that crawls; what isn't known is left out."""
    return dict(_agent(user_agent[:_MAX_CHARACTERS])) if user_agent.strip() else {}


@lru_cache(maxsize=_REMEMBERED)
def _agent(user_agent: str) -> tuple[tuple[str, str], ...]:
    bot = _bot(user_agent)
    if bot:
        return (("bot", bot),)
    found = parse(user_agent)
    system = found.os.family if found.os else ""
    device = found.device.family if found.device else ""
    if device in ("Spider", "Other"):
        device = ""
    browser = next((app for word, app in _APPS if word in user_agent), "")
    if not browser and found.user_agent and user_agent.startswith(_BROWSERS):
        browser = found.user_agent.family
    known = {
        "device": device or ("Desktop" if system in _DESKTOPS else ""),
        "os": "" if system == "Other" else system,
        "browser": "" if browser == "Other" else browser,
    }
    return tuple((name, value[:_MAX_LABEL]) for name, value in known.items() if value)


@cache
def _crawlers() -> tuple[re.Pattern[str], ...]:
    entries = from_json(_DATA.read_bytes())
    patterns = [entry["pattern"] for entry in entries if _LIBRARY not in entry.get("tags", ())]
    # In parts: one alternation of all is slower to search.
    return tuple(re.compile("|".join(patterns[at : at + 25])) for at in range(0, len(patterns), 25))


def _bot(user_agent: str) -> str:
    for pattern in _crawlers():
        if found := pattern.search(user_agent):
            return found[0].strip(" /;()[]+-_.,:")[:_MAX_LABEL] or "crawler"
    return ""
