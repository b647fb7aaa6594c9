"""PromQL, put together. Pure text."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from schemas.duration import format_duration


def quote(text: str) -> str:
    """A string literal of PromQL."""
    return json.dumps(text, ensure_ascii=False)


def pattern(text: str) -> str:
    """A regular expression that matches `text` alone."""
    return re.sub(r"([\\.+*?()|\[\]{}^$])", r"\\\1", text)


def replacement(text: str) -> str:
    """A literal of `label_replace`'s replacement, in which `$1` would mean a group."""
    return quote(text.replace("$", "$$"))


def as_template(text: str) -> str:
    """Text of the plan within labels and annotations, which Prometheus takes for templates."""
    return text.replace("{{", '{{"{{"}}')


def number(value: float) -> str:
    """A number, as short as it can be said."""
    return f"{value:.12g}"


def select(metric: str, matchers: Mapping[str, str], *, back: int = 0, span: int = 0) -> str:
    """A selector. A matcher's text is a value, or with `~` before it a regular expression; times are in ms."""
    parts = []
    for name, value in matchers.items():
        operator, text = ("=~", value[1:]) if value.startswith("~") else ("=", value)
        parts.append(f"{name}{operator}{quote(text)}")
    text = f"{metric}{{{','.join(parts)}}}" if parts else metric
    if span:
        text += f"[{format_duration(span)}]"
    if back:
        text += f" offset {format_duration(back)}"
    return text
