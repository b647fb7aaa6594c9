"""Messages for the robots of Feishu and DingTalk groups: their JSON and their signatures. Pure.

Feishu (open.feishu.cn, "自定义机器人使用指南"): the key of the HMAC is `timestamp + "\\n" + secret`, what it signs is
empty; timestamp (seconds) and signature stand in the body. DingTalk (open.dingtalk.com, "自定义机器人安全设置"): the
key is the secret, what it signs is `timestamp + "\\n" + secret`; timestamp (ms) and signature stand in the address.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

from pipeline.alerts.message import Message, fitted

#: What a robot takes, bytes of the body. Feishu (open.feishu.cn/document/client-docs/bot-v3/add-custom-bot):
#: "请求体的数据大小不能超过 20 KB", of which 1,000 bytes are the safe reading. DingTalk answers a larger body with
#: `{"errcode":460101,"errmsg":"message too long, exceed 20000 bytes"}`.
FEISHU_BYTES: Final = 20_000
DINGTALK_BYTES: Final = 20_000


class Post(NamedTuple):
    """What is posted."""

    url: str
    body: dict[str, Any]


#: The languages that Feishu knows of a post (open.feishu.cn, Custom bot usage guide); any other stands under English.
_FEISHU_LANGUAGES: Final = {"zh": "zh_cn", "ja": "ja_jp"}


def feishu(message: Message, url: str, secret: str | None, now: float, language: str) -> Post:
    """A post (rich text) for Feishu, cut to what it takes. `now` is epoch seconds."""
    # Timestamp and signature come on top.
    message = fitted(message, FEISHU_BYTES - 200, lambda one: _size(_feishu_body(one, language)))
    body = _feishu_body(message, language)
    if secret is not None:
        timestamp = str(int(now))
        body = {"timestamp": timestamp, "sign": feishu_sign(timestamp, secret), **body}
    return Post(url, body)


def _feishu_body(message: Message, language: str) -> dict[str, Any]:
    content: list[list[dict[str, str]]] = [[{"tag": "text", "text": line}] for line in message.lines]
    if message.link:
        content.append([{"tag": "a", "text": message.link_text, "href": message.link}])
    post = {_FEISHU_LANGUAGES.get(language, "en_us"): {"title": message.title, "content": content}}
    return {"msg_type": "post", "content": {"post": post}}


def feishu_sign(timestamp: str, secret: str) -> str:
    """The signature of a time (epoch seconds, as text)."""
    return _digest(f"{timestamp}\n{secret}", "")


def dingtalk(message: Message, url: str, secret: str | None, now: float) -> Post:
    """A Markdown message for DingTalk, cut to what it takes. `now` is epoch seconds."""
    body = _dingtalk_body(fitted(message, DINGTALK_BYTES, lambda one: _size(_dingtalk_body(one))))
    if secret is not None:
        timestamp = str(int(now * 1000))
        query = urlencode({"timestamp": timestamp, "sign": dingtalk_sign(timestamp, secret)})
        url = f"{url}{'&' if '?' in url else '?'}{query}"
    return Post(url, body)


def _dingtalk_body(message: Message) -> dict[str, Any]:
    parts = [f"#### {_plain(message.title)}", *(_plain(line) for line in message.lines)]
    if message.link:
        parts.append(f"[{message.link_text}]({message.link})")
    return {"msgtype": "markdown", "markdown": {"title": message.title, "text": "\n\n".join(parts)}}


def _size(body: dict[str, Any]) -> int:
    """Bytes of a body as it is posted."""
    return len(json.dumps(body).encode())


def dingtalk_sign(timestamp: str, secret: str) -> str:
    """The signature of a time (epoch ms, as text), before it is encoded for an address."""
    return _digest(secret, f"{timestamp}\n{secret}")


def refused(answer: Any) -> str | None:
    """What a robot's answer says is wrong, None if it took the message: both answer 200 to a bad signature, too."""
    if not isinstance(answer, dict):
        return "the answer is not what a robot says"
    for code, text in (("code", "msg"), ("StatusCode", "StatusMessage"), ("errcode", "errmsg")):
        if code in answer:
            return None if answer[code] == 0 else f"{answer[code]}: {answer.get(text, '')}"
    return "the answer is not what a robot says"


def _digest(key: str, text: str) -> str:
    return base64.b64encode(hmac.new(key.encode(), text.encode(), hashlib.sha256).digest()).decode()


def _plain(text: str) -> str:
    """Text whose marks mean nothing in Markdown."""
    return re.sub(r"([\\`*_\[\]#<>])", r"\\\1", text)
