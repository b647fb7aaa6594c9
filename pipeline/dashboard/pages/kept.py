"""What is kept besides boards: annotations, segments, alerts; and the history of each thing."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlencode

from pipeline.dashboard.bar import reading
from pipeline.dashboard.context import Context
from pipeline.dashboard.forms import changed, form_to, off_note, title_field, when
from pipeline.dashboard.frame import field, note_bad, panel, select
from pipeline.errors import UserError
from pipeline.explore.address import read_rule
from pipeline.kept.file import alert_yaml, written
from pipeline.kept.things import KINDS, OF_SEGMENT, Entry, Kind, data_of
from pipeline.render.html import Child, Safe, h, text
from pipeline.render.language import Language
from pipeline.render.tables import table
from schemas.annotations import MAX_TEXT

#: Kinds of annotations.
HAPPENED: Final = ("release", "campaign", "incident", "other")
#: Rows of annotations in the page; all of them are in the API and in the file.
_SHOWN: Final = 200


def kept(context: Context) -> Safe:
    """Annotations, segments, alerts."""
    t = context.t
    unreadable = [
        note_bad(
            t("{kind} {id} can't be read by this version: {why}", kind=kind_words(t, kind), id=id_, why=t.said(why))
        )
        for kind, id_, why in context.kept.now.unreadable
    ]
    parts = [_annotations(context), _segments(context), _alerts(context), _removed(context)]
    return text(off_note(context), unreadable, parts)


def kind_words(t: Language, kind: Kind) -> str:
    """What a kind is called."""
    return t.of("kept", kind)


def _annotations(context: Context) -> Safe:
    t, zone = context.t, context.plan.zone
    found = [(entry.value.moment(zone), entry.value, entry) for entry in context.kept.now.annotations.values()]
    # The plan of a page has the kept ones behind its own.
    own = context.plan.annotations[: len(context.plan.annotations) - len(found)]
    of_plan = [(one.moment(zone), one, None) for one in own]
    listed = sorted([*found, *of_plan], key=lambda one: (-one[0], one[1].text))
    rows: list[list[Child]] = [
        [
            when(context, at),
            one.text,
            t.of("happened", one.kind),
            changed(context, entry) if entry is not None else t("the plan"),
            _tools(context, "annotation", entry) if entry is not None else None,
        ]
        for at, one, entry in listed[:_SHOWN]
    ]
    heads = [t("When"), t("What happened"), t("Kind"), t.of("source", "From"), t("Change")]
    empty = t("Nothing yet. What is noted here is drawn on every chart over days or hours.")  # fmt: skip
    new = None
    if context.kept.changeable:
        now = h("input", type="datetime-local", name="at", required=True,
                value=f"{context.today.isoformat()}T00:00")  # fmt: skip
        what = h("input", name="text", required=True, maxlength=MAX_TEXT, size=36, autocomplete="off")
        kinds = [(kind, t.of("happened", kind)) for kind in HAPPENED]
        new = form_to(
            context,
            "annotation-save",
            field(t("When"), now),
            field(t("What happened"), what),
            field(t("Kind"), select("kind", kinds, "release")),
            h("button", t("Note it"), class_="primary"),
        )
    more = t("The newest {shown} of {listed}.", shown=_SHOWN, listed=t.number(len(listed)))  # fmt: skip
    note = h("p", more, class_="note") if len(listed) > _SHOWN else None
    label = t("Annotations")
    shown = table(heads, rows, label=label, empty=empty)
    return panel(label, new, shown, note, wide=True, id="annotations")


def _segments(context: Context) -> Safe:
    t = context.t
    rows: list[list[Child]] = []
    for name, spec in context.plan.segments.items():
        rows.append([_explored(spec.title or name, name), t("the plan"), None])
    for id_, entry in context.kept.now.segments.items():
        hidden = id_ in context.plan.segments
        said = t("(the plan has one of this id)") if hidden else ""
        rows.append(
            [
                text(_explored(entry.value.title, id_), " ", said, _unfit(context, entry)),
                changed(context, entry),
                _tools(context, "segment", entry),
            ]
        )
    heads = [t("Segment"), t.of("source", "From"), t("Change")]
    empty = t("No segment yet. Make one in the filter bar, and keep it.")
    new = None
    rules = {name: value for name, value in context.query.items() if OF_SEGMENT.fullmatch(name) and value}
    if context.kept.changeable and rules:
        new = form_to(
            context,
            "segment-save",
            title_field(context),
            h("button", t("Keep the segment"), class_="primary"),
            address=urlencode(rules),
        )
        new = text(h("p", t("The segment that was made in the bar:"), class_="note"), new)
    label = t("Segments")
    return panel(label, new, table(heads, rows, label=label, empty=empty), wide=True, id="segments")


def _unfit(context: Context, entry: Entry) -> Safe | None:
    """Why a segment no longer says who it is: the plan has lost what it names."""
    try:
        read_rule(reading(context, entry.value.address))
    except UserError as exc:
        return h("span", context.t.said(exc), class_="bad-word")
    return None


def _explored(title: str, name: str) -> Safe:
    return h("a", title, href=f"/explore?{urlencode({'kind': 'trend', 'seg': f'in:{name}'})}")


def _alerts(context: Context) -> Safe:
    t = context.t
    found = []
    for name, entry in context.kept.now.alerts.items():
        at = f"alert-{name}"
        found.append(
            h(
                "details",
                h("summary", entry.value.title or name, " · ", _state(context, name)),
                h("p", changed(context, entry), class_="note"),
                h("pre", alert_yaml(name, entry.value), id=at, tabindex="0"),
                h("div", h("button", t("Copy"), type="button", data_copy=at), class_="buttons"),
                _tools(context, "alert", entry),
                open=context.query.get("alert") == name,
            )
        )
    none = h("p", t("No alert was made here. A chart's link Keep leads to the form."), class_="empty")  # fmt: skip
    note = t(
        "The YAML is the plan's own entry: put into the plan it is in git, and the one here may be "
        "removed. `up` loads alerts within seconds. A Prometheus of your own needs `streamgauge alerts "
        "render -o FOLDER` and to reload."
    )
    return panel(t("Alerts"), found or none, h("p", note, class_="note"), wide=True, id="alerts")


def _state(context: Context, name: str) -> Child:
    """What is known of an alert: whether Prometheus has it, and whether it fires."""
    t = context.t
    if (why := context.kept.left_out.get(name)) is not None:
        return h("span", t("not evaluated: {why}", why=t.said(why)), class_="bad-word")
    if context.alerts.known is None:
        return t("nobody says whether it is evaluated (PIPELINE_PROMETHEUS_URL)")
    if name not in context.alerts.known:
        return t("Prometheus has not loaded it yet")
    if any(alert.name == name for alert in context.alerts.firing or ()):
        return h("strong", t("firing"), class_="bad-word")
    return t("evaluated, and quiet")


def _tools(context: Context, kind: Kind, entry: Entry) -> Safe:
    """History and removal of a thing."""
    t = context.t
    link = h("a", t("History"), href=f"/history?{urlencode({'kind': kind, 'id': entry.id})}")
    if not context.kept.changeable:
        return h("div", link, class_="buttons")
    button = h("button", t("Remove"), aria_label=t("Remove {entry}", entry=_name(entry)))
    return h(
        "div", link, form_to(context, "remove", button, kind=kind, id=entry.id, seen=entry.number), class_="buttons"
    )


def _name(entry: Entry) -> str:
    return str(getattr(entry.value, "title", "") or getattr(entry.value, "text", "") or entry.id)


def _removed(context: Context) -> Safe | None:
    t, store = context.t, context.kept.store
    if store is None or context.kept.problem:
        return None
    rows = [
        [kind_words(t, kind), h("a", id_, href=f"/history?{urlencode({'kind': kind, 'id': id_})}"), when(context, version.at), version.who]
        for kind in KINDS for id_, version in store.removed(kind)[:50]
    ]  # fmt: skip
    if not rows:
        return None
    heads = [t("Kind"), t("Id"), t("Removed"), t.of("removed", "By")]
    label = t.of("state", "Removed")
    return panel(label, table(heads, rows, label=label), wide=True)


def history(context: Context) -> Safe:
    """All versions of a thing, each to be looked at and restored."""
    t, store = context.t, context.kept.store
    kind = next((kind for kind in KINDS if kind == context.query.get("kind")), None)
    id_ = context.query.get("id", "")
    if store is None or context.kept.problem or kind is None:
        return off_note(context) or h("p", t("There is no such thing."), class_="empty")
    versions = store.history(kind, id_)
    if not versions:
        return h("p", t("There is no such thing."), class_="empty")
    # One of them in full: all of a hundred would be megabytes.
    numbers = [str(version.number) for version in versions]
    chosen = context.choice("version", numbers)
    shown = []
    for version in versions:
        said = t("Version {number}", number=version.number)
        if version.removed:
            said = t("{said}: removed", said=said)
        head = f"{said} · {when(context, version.at)} {version.who}".strip()
        if str(version.number) != chosen:
            address = urlencode({"kind": kind, "id": id_, "version": version.number})
            shown.append(h("li", h("a", head, href=f"/history?{address}")))
            continue
        restore = None
        if context.kept.changeable and version.value is not None and version.number != versions[0].number:
            label = t("Restore version {number}", number=version.number)
            restore = form_to(context, "restore", h("button", label), kind=kind, id=id_, version=version.number,
                              seen=versions[0].number)  # fmt: skip
        body = h("pre", written(data_of(version.value)), tabindex="0") if version.value is not None else None
        shown.append(h("li", h("strong", head), body, restore))
    back = h("a", t("Back"), href=f"/board?{urlencode({'id': id_})}" if kind == "board" else "/kept")
    return text(
        off_note(context), panel(f"{kind_words(t, kind)} {id_}", h("ul", shown, class_="versions")), h("p", back)
    )


def conflict(context: Context, action: str, form: dict[str, str], number: int, who: str, at: int) -> Safe:
    """Somebody else was first: what they did stands, and what was wanted here can be sent again."""
    t = context.t
    head = t(
        "{who} changed it at {at}, after you had opened it. Nothing of theirs was overwritten, and "
        "yours is not stored.",
        who=who or t("Somebody"),
        at=when(context, at),
    )
    kind = form.get("kind") if form.get("kind") in KINDS else _kind_of(action)
    id_ = form.get("id") or form.get("name", "")
    look = h("a", t("See what changed"), href=f"/history?{urlencode({'kind': kind or '', 'id': id_})}")
    again = {name: value for name, value in form.items() if name != "seen"}
    return text(
        note_bad(head),
        h("p", t("What you wanted:"), class_="note"),
        _typed(again),
        h("p", look),
        form_to(context, action, h("button", t("Do it all the same"), class_="primary"), **again, seen=number),
    )  # fmt: skip


def after_login(context: Context, action: str, form: dict[str, str]) -> Safe:
    """A form that was sent without a login, given back after it."""
    t = context.t
    return text(
        note_bad(t("You are logged in again. What you typed is not stored yet:")),
        _typed(form),
        form_to(context, action, h("button", t("Store it"), class_="primary"), **form),
    )


def _typed(form: dict[str, str]) -> Safe:
    """The fields of a form, to be read."""
    shown = {name: value for name, value in form.items() if value and name not in ("id", "seen")}
    return h("ul", *[h("li", h("strong", name), ": ", value[:300]) for name, value in shown.items()])


def _kind_of(action: str) -> str:
    return next((kind for kind in KINDS if action.startswith(kind)), "")
