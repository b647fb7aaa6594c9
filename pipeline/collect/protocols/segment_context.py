"""What a message of Segment's SDKs says of where it is, in an app, on a page or on a server. Pure."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

from pipeline.collect.protocols.fields import Data, first, identifier, label, mapping, referrer

#: What of a context tells nothing for the envelope.
_BARE: Final = frozenset({"library", "ip", "userAgent", "traits", "groupId"})
#: What RudderStack's library for browsers writes into `context.app`: its own name, and its own version.
_RUDDER_WEB: Final = "RudderLabs JavaScript SDK"
#: Characters of a library's name that are looked at.
_MAX_NAME: Final = 256


def surroundings(message: Data, context: Data, given: Any, library: Any) -> dict[str, Any]:
    """What a message with these properties says of where it was sent."""
    # Libraries of servers say nothing but who they are.
    if context.keys() <= _BARE:
        found: dict[str, Any] = {}
        if platform := _platform(message, library):
            found["platform"] = platform
        if isinstance(given, dict) and "referrer" in given:
            found["referrer"] = referrer(given["referrer"])
        return found
    properties = mapping(given)
    app, device, page = mapping(context.get("app")), mapping(context.get("device")), mapping(context.get("page"))
    return {
        "session_id": identifier(context.get("sessionId")),
        "platform": label(first(device.get("type"), _platform(message, library))),
        "app_version": label(None if app.get("name") == _RUDDER_WEB else app.get("version")),
        "os": label(mapping(context.get("os")).get("name")),
        "device": label(first(device.get("model"), device.get("type"))),
        "language": label(context.get("locale")),
        "country": label(mapping(context.get("location")).get("country")),
        "campaign": label(mapping(context.get("campaign")).get("name")),
        "referrer": referrer(
            first(page.get("referrer"), mapping(context.get("referrer")).get("url"), properties.get("referrer"))
        ),
    }


def _platform(message: Data, library: Any) -> str | None:
    if message.get("channel") == "web":
        return "web"
    return _platform_of(library[:_MAX_NAME]) if isinstance(library, str) else None


@lru_cache(maxsize=1_000)
def _platform_of(library: str) -> str | None:
    name = library.lower()
    if "analytics.js" in name or "javascript" in name:
        return "web"
    return next((platform for platform in ("ios", "android") if platform in name), None)
