"""What is kept besides boards: annotations, segments, alerts; and the history of each thing."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlencode

from pipeline.dashboard.context import Context
from pipeline.dashboard.forms import changed, form_to, off_note, title_field, when
from pipeline.dashboard.frame import field, note_bad, panel, select, table
from pipeline.kept.file import alert_yaml, written
from pipeline.kept.things import KINDS, OF_SEGMENT, Entry, Kind, data_of
from pipeline.render.html import Child, Safe, h, text
from pipeline.render.language import Language
from schemas.annotations import MAX_TEXT

#: Kinds of annotations.
HAPPENED: Final = {
    "release": ("release", "发布"), "campaign": ("campaign", "活动"), "incident": ("incident", "故障"),
    "other": ("other", "其他"),
}  # fmt: skip
#: Rows of annotations in the page; all of them are in the API and in the file.
_SHOWN: Final = 200


def kept(context: Context) -> Safe:
    """Annotations, segments, alerts."""
    unreadable = [
        note_bad(context.t(f"{kind} {id_} can't be read by this version: {why}", f"此版本无法读取 {kind} {id_}：{why}"))
        for kind, id_, why in context.kept.now.unreadable
    ]
    parts = [_annotations(context), _segments(context), _alerts(context), _removed(context)]
    return text(off_note(context), unreadable, parts)


def kind_words(t: Language, kind: Kind) -> str:
    """What a kind is called."""
    names = {"board": ("board", "看板"), "segment": ("segment", "人群"), "annotation": ("annotation", "标注"),
             "alert": ("alert", "告警")}  # fmt: skip
    return t(*names[kind])


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
            t(*HAPPENED[one.kind]),
            changed(context, entry) if entry is not None else t("the plan", "方案"),
            _tools(context, "annotation", entry) if entry is not None else None,
        ]
        for at, one, entry in listed[:_SHOWN]
    ]
    heads = [t("When", "时间"), t("What happened", "事项"), t("Kind", "类型"), t("From", "来源"), t("Change", "操作")]
    empty = t("Nothing yet. What is noted here is drawn on every chart over days or hours.", "暂无标注。标注会画在所有按天或按小时的图上。")  # fmt: skip
    new = None
    if context.kept.changeable:
        now = h("input", type="datetime-local", name="at", required=True,
                value=f"{context.today.isoformat()}T00:00")  # fmt: skip
        what = h("input", name="text", required=True, maxlength=MAX_TEXT, size=36, autocomplete="off")
        kinds = [(kind, t(*names)) for kind, names in HAPPENED.items()]
        new = form_to(
            context,
            "annotation-save",
            field(t("When", "时间"), now),
            field(t("What happened", "事项"), what),
            field(t("Kind", "类型"), select("kind", kinds, "release")),
            h("button", t("Note it", "添加标注"), class_="primary"),
        )
    more = t(f"The newest {_SHOWN} of {t.number(len(listed))}.", f"共 {t.number(len(listed))} 条，仅列最新 {_SHOWN} 条。")  # fmt: skip
    note = h("p", more, class_="note") if len(listed) > _SHOWN else None
    label = t("Annotations", "标注")
    shown = table(heads, rows, label=label, empty=empty, cards=True)
    return panel(label, new, shown, note, wide=True, id="annotations")


def _segments(context: Context) -> Safe:
    t = context.t
    rows: list[list[Child]] = []
    for name, spec in context.plan.segments.items():
        rows.append([_explored(spec.title or name, name), t("the plan", "方案"), None])
    for id_, entry in context.kept.now.segments.items():
        hidden = id_ in context.plan.segments
        said = t("(the plan has one of this id)", "（方案中已有同名人群）") if hidden else ""
        rows.append(
            [text(_explored(entry.value.title, id_), said), changed(context, entry), _tools(context, "segment", entry)]
        )
    heads = [t("Segment", "人群"), t("From", "来源"), t("Change", "操作")]
    empty = t("No segment yet. Make one in the filter bar, and keep it.", "暂无人群。可在筛选栏中自定义并保存。")
    new = None
    rules = {name: value for name, value in context.query.items() if OF_SEGMENT.fullmatch(name) and value}
    if context.kept.changeable and rules:
        new = form_to(
            context,
            "segment-save",
            title_field(context),
            h("button", t("Keep the segment", "保存人群"), class_="primary"),
            address=urlencode(rules),
        )
        new = text(h("p", t("The segment that was made in the bar:", "筛选栏中自定义的人群："), class_="note"), new)
    label = t("Segments", "人群")
    return panel(label, new, table(heads, rows, label=label, empty=empty, cards=True), wide=True, id="segments")


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
                h("div", h("button", t("Copy", "复制"), type="button", data_copy=at), class_="buttons"),
                _tools(context, "alert", entry),
                open=context.query.get("alert") == name,
            )
        )
    none = h("p", t("No alert was made here. A chart's link Keep leads to the form.", "这里没有告警。可从图表的“收藏”链接创建。"), class_="empty")  # fmt: skip
    note = t(
        "The YAML is the plan's own entry: put into the plan it is in git, and the one here may be removed. "
        "`up` loads alerts within seconds. A Prometheus of your own needs `streamgauge alerts render -o FOLDER` and to reload.",
        "YAML 与方案中的写法一致：写入方案即可纳入 git，然后可删除这里的告警。`up` 会在数秒内加载；"
        "自建 Prometheus 需运行 `streamgauge alerts render -o 目录` 并重新加载。",
    )
    return panel(t("Alerts", "告警"), found or none, h("p", note, class_="note"), wide=True, id="alerts")


def _state(context: Context, name: str) -> Child:
    """What is known of an alert: whether Prometheus has it, and whether it fires."""
    t = context.t
    if (why := context.kept.left_out.get(name)) is not None:
        return h("span", t(f"not evaluated: {why}", f"未生效：{why}"), class_="bad-word")
    if context.alerts.known is None:
        return t(
            "nobody says whether it is evaluated (PIPELINE_PROMETHEUS_URL)", "未知是否生效（PIPELINE_PROMETHEUS_URL）"
        )
    if name not in context.alerts.known:
        return t("Prometheus has not loaded it yet", "Prometheus 尚未加载")
    if any(alert.name == name for alert in context.alerts.firing or ()):
        return h("strong", t("firing", "告警中"), class_="bad-word")
    return t("evaluated, and quiet", "生效中，未触发")


def _tools(context: Context, kind: Kind, entry: Entry) -> Safe:
    """History and removal of a thing."""
    t = context.t
    link = h("a", t("History", "历史版本"), href=f"/history?{urlencode({'kind': kind, 'id': entry.id})}")
    if not context.kept.changeable:
        return h("div", link, class_="buttons")
    button = h("button", t("Remove", "删除"), aria_label=t(f"Remove {_name(entry)}", f"删除 {_name(entry)}"))
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
    heads = [t("Kind", "类型"), t("Id", "编号"), t("Removed", "删除时间"), t("By", "删除人")]
    label = t("Removed", "已删除")
    return panel(label, table(heads, rows, label=label, cards=True), wide=True)


def history(context: Context) -> Safe:
    """All versions of a thing, each to be looked at and restored."""
    t, store = context.t, context.kept.store
    kind = next((kind for kind in KINDS if kind == context.query.get("kind")), None)
    id_ = context.query.get("id", "")
    if store is None or context.kept.problem or kind is None:
        return off_note(context) or h("p", t("There is no such thing.", "没有该内容。"), class_="empty")
    versions = store.history(kind, id_)
    if not versions:
        return h("p", t("There is no such thing.", "没有该内容。"), class_="empty")
    # One of them in full: all of a hundred would be megabytes.
    numbers = [str(version.number) for version in versions]
    chosen = context.choice("version", numbers)
    shown = []
    for version in versions:
        said = t(f"Version {version.number}", f"版本 {version.number}")
        if version.removed:
            said = t(f"{said}: removed", f"{said}：已删除")
        head = f"{said} · {when(context, version.at)} {version.who}".strip()
        if str(version.number) != chosen:
            address = urlencode({"kind": kind, "id": id_, "version": version.number})
            shown.append(h("li", h("a", head, href=f"/history?{address}")))
            continue
        restore = None
        if context.kept.changeable and version.value is not None and version.number != versions[0].number:
            label = t(f"Restore version {version.number}", f"恢复到版本 {version.number}")
            restore = form_to(context, "restore", h("button", label), kind=kind, id=id_, version=version.number,
                              seen=versions[0].number)  # fmt: skip
        body = h("pre", written(data_of(version.value)), tabindex="0") if version.value is not None else None
        shown.append(h("li", h("strong", head), body, restore))
    back = h("a", t("Back", "返回"), href=f"/board?{urlencode({'id': id_})}" if kind == "board" else "/kept")
    return text(
        off_note(context), panel(f"{kind_words(t, kind)} {id_}", h("ul", shown, class_="versions")), h("p", back)
    )


def conflict(context: Context, action: str, form: dict[str, str], number: int, who: str, at: int) -> Safe:
    """Somebody else was first: what they did stands, and what was wanted here can be sent again."""
    t = context.t
    head = t(
        f"{who or 'Somebody'} changed it at {when(context, at)}, after you had opened it. Nothing of theirs was overwritten, "
        f"and yours is not stored.",
        f"{who or '有人'}在你打开之后（{when(context, at)}）修改了它。对方的修改已保留，你的修改尚未保存。",
    )
    kind = form.get("kind") if form.get("kind") in KINDS else _kind_of(action)
    id_ = form.get("id") or form.get("name", "")
    look = h("a", t("See what changed", "查看修改内容"), href=f"/history?{urlencode({'kind': kind or '', 'id': id_})}")
    again = {name: value for name, value in form.items() if name != "seen"}
    values = [h("li", h("strong", name), ": ", value[:300]) for name, value in again.items() if value and name != "id"]
    return text(
        note_bad(head),
        h("p", t("What you wanted:", "你要保存的内容："), class_="note"),
        h("ul", *values),
        h("p", look),
        form_to(context, action, h("button", t("Do it all the same", "仍然保存我的修改"), class_="primary"), **_hidden(again), seen=number),
    )  # fmt: skip


def _hidden(form: dict[str, str]) -> dict[str, Any]:
    return dict(form)


def _kind_of(action: str) -> str:
    return next((kind for kind in KINDS if action.startswith(kind)), "")
