"""Parts of pages drawn on a real ClickHouse as they are at a moment: as HTML and as plain words."""

from __future__ import annotations

import re
from datetime import datetime
from html import unescape
from typing import Any

from metrics.world import World

from pipeline.alerts.prometheus import AlertWatch
from pipeline.clickhouse.questions import Store
from pipeline.dashboard.context import Context
from pipeline.dashboard.keeping import OFF, KeptView
from pipeline.dashboard.live import LiveReader
from pipeline.render.language import Language
from schemas.plan import Plan


def at(text: str) -> int:
    """Epoch ms of a moment."""
    return int(datetime.fromisoformat(text).timestamp() * 1000)


async def drawn(
    world: World,
    moment: str,
    part: Any,
    *,
    plan: Plan | None = None,
    language: str = "en",
    settings: dict[str, Any] | None = None,
    alerts: AlertWatch | None = None,
    kept: KeptView = OFF,
    **query: str,
) -> str:
    """A part of a page as HTML, as it is at a moment."""
    store = Store(world.settings)
    try:
        context = Context(
            Language(language), plan or world.plan, world.settings.model_copy(update=settings or {}), LiveReader([]), store,
            alerts or AlertWatch(None), at(moment), path="/", query=query, theme="auto", user="", can_log_out=False, kept=kept,
        )  # fmt: skip
        return str(await part(context))
    finally:
        await store.close()


def words(html: str) -> str:
    """What is read of it."""
    html = re.sub(r"<script.*?</script>", " ", html, flags=re.S)
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", html))).strip()


def cells(html: str) -> list[list[str]]:
    """The words of each row of all tables, heads too."""
    rows = re.findall(r"<tr[ >].*?</tr>|<tr>.*?</tr>", html, re.S)
    return [
        [words(cell) for cell in re.findall(r"<t[hd][ >].*?</t[hd]>|<t[hd]>.*?</t[hd]>", row, re.S)] for row in rows
    ]
