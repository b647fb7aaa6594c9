"""The pages: what each shows, the parts that are loaded later, the files that can be downloaded."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from pipeline.dashboard.context import Context, Page, Part
from pipeline.dashboard.pages import now

PAGES: Final = (Page("/", "Now", "现在", now.body),)

PARTS: Final[dict[str, Part]] = {
    "hour": now.hour,
    "yesterday": now.yesterday,
}

#: Name, media type and content of a file.
Download = Callable[[Context], Awaitable[tuple[str, str, bytes]]]
DOWNLOADS: Final[dict[str, Download]] = {}


def fragments(context: Context, page: str) -> dict[str, str]:
    """The live places of a page as {place: HTML}."""
    found: dict[str, str] = {"status": now.head_status(context)}
    if page == "/":
        found |= now.fragments(context)
    return found
