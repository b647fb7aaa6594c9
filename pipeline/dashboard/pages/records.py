"""What became of all records since the workers began, live."""

from __future__ import annotations

from pipeline.dashboard.context import Context
from pipeline.dashboard.frame import live, term
from pipeline.render.html import Safe, h, text
from pipeline.render.language import NONE


def records(context: Context) -> Safe:
    """What can become of a record; the counts are live."""
    t = context.t
    words = {
        "accepted": (t("accepted", "已接受"), t("Events of the plan, counted and stored.", "符合方案，已统计并存储。")),
        "late": (
            t("late", "迟到"),
            t(
                "Older than the live windows keep: stored, not counted live.",
                "超过允许的迟到时间：已存储，不计入实时。",
            ),
        ),
        "duplicate": (
            t("duplicate", "重复"),
            t("An event_id that was seen before: counted once.", "event_id 已出现过：只计一次。"),
        ),
        "rejected": (
            t("rejected", "被拒绝"),
            t("Not an event of the plan: kept whole, with the reason.", "不符合方案：原文和原因都保留。"),
        ),
    }
    rows = [
        h(
            "tr",
            h("th", term(label, definition), scope="row"),
            live(f"rec-{name}", tag="td", class_="n"),
            live(f"share-{name}", tag="td", class_="n"),
        )
        for name, (label, definition) in words.items()
    ]
    return h("table", h("tbody", *rows), class_="plain")


def fragments(context: Context) -> dict[str, Safe]:
    """The counts."""
    t, numbers = context.t, context.live.numbers
    if numbers is None:
        return {}
    totals = numbers["totals"]
    seen = sum(totals.values())
    found = {}
    for name in ("accepted", "late", "duplicate", "rejected"):
        count = totals.get(name, 0)
        found[f"rec-{name}"] = text(t.number(count))
        found[f"share-{name}"] = text(t.percent(count / seen, 2) if seen else NONE)
    return found
