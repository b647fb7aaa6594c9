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
        "accepted": (t("accepted"), t("Events of the plan, counted and stored.")),
        "late": (
            t("late"),
            t("Older than the live windows keep: stored, not counted live."),
        ),
        "duplicate": (
            t("duplicate"),
            t("An event_id that was seen before: counted once."),
        ),
        "rejected": (
            t("rejected"),
            t("Not an event of the plan: kept whole, with the reason."),
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
