"""Pieces of the forms that change what is kept."""

from __future__ import annotations

from datetime import UTC, datetime

from pipeline.dashboard.context import Context
from pipeline.dashboard.frame import note_bad
from pipeline.kept.things import MAX_TITLE, Entry
from pipeline.render.html import Child, Safe, h


def form_to(context: Context, action: str, /, *content: Child, **hidden: object) -> Safe:
    """A form that changes something: sent by POST, with what it must say besides its fields."""
    fields = [h("input", type="hidden", name=name, value=str(value)) for name, value in hidden.items()]
    return h(
        "form", *fields, h("div", *content, class_="line"), method="post", action=f"/kept/{action}", class_="asked"
    )


def title_field(context: Context, value: str = "", *, name: str = "title", label: str = "") -> Safe:
    """A title to be typed."""
    control = h(
        "input", name=name, value=value or None, maxlength=MAX_TITLE, required=True, autocomplete="off", size=28
    )
    return h("label", h("span", label or context.t("Title")), control)


def when(context: Context, at: int) -> str:
    """A moment in the plan's zone."""
    t, local = context.t, datetime.fromtimestamp(at / 1000, UTC).astimezone(context.plan.zone)
    return f"{t.day(local.date())} {local:%H:%M}"


def changed(context: Context, entry: Entry) -> str:
    """Who changed it last, and when."""
    return f"{when(context, entry.at)} {entry.who}".strip()


def off_note(context: Context) -> Safe | None:
    """Why nothing can be kept here, or by whoever looks, and how that is changed: one line. None where they can."""
    t, kept = context.t, context.kept
    if kept.store is None:
        line = t(
            "Keeping things is off: name a file in PIPELINE_KEPT and start the dashboard again (`up` has "
            "one of itself)."
        )
        return h("p", line, class_="note")
    if kept.problem:
        return note_bad(kept.problem)
    if kept.may_change:
        return None
    if not context.user:
        line = t(
            "You may look. To change something, log in (PIPELINE_DASHBOARD_PASSWORD_FILE); "
            "PIPELINE_KEPT_EDITORS=* lets everybody who reaches this page."
        )
    else:
        line = t(
            "You may look. Who may change something stands in PIPELINE_KEPT_EDITORS; {user} does not.",
            user=context.user,
        )
    return h("p", line, class_="note")
