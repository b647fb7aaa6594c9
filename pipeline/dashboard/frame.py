"""The frame around every page, and the pieces that pages are made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

from pipeline.clickhouse.questions import StoreError
from pipeline.dashboard.context import Context, Page
from pipeline.dashboard.navigation import navigation
from pipeline.dashboard.people import search
from pipeline.render.html import Child, Safe, h, text
from pipeline.render.language import CODES, Language


def document(context: Context, pages: Sequence[Page], page: Page, assets: str) -> str:
    """The whole HTML document of a page. `assets` is a version that changes when a static file does."""
    t = context.t
    body = [
        h("a", t("Skip to the content"), href="#content", class_="skip"),
        h(
            "header",
            h("button", t("Menu"), type="button", id="menu", aria_expanded="false", aria_controls="nav"),
            h(
                "a",
                h("strong", context.plan.product),
                h("span", "Streamgauge", class_="brand"),
                href="/",
                class_="home",
            ),
            h("div", live("status", dim(t("connecting …"))), class_="status"),
            _switches(context),
        ),
        h("nav", search(context), navigation(t, pages, page.path), id="nav", aria_label=t("Pages")),
        h("main", h("h1", page.title(t)), page.body(context), id="content", tabindex="-1"),
        h("div", id="tip", role="tooltip", hidden=True),
        h("div", id="said", role="status", class_="unseen"),
    ]
    return _html(context, page.title(t), body, assets, stream=f"/stream?{context.with_query(page=page.path)}")


def login(context: Context, assets: str, hidden: Mapping[str, str], *, wrong: bool = False, typed: bool = False) -> str:
    """The form to log in. What is `hidden` comes back with it: where to, or what was typed into another form."""
    t = context.t
    form = h(
        "form",
        h("h1", context.plan.product),
        h("p", t("Name or password is wrong, or there were too many tries: wait a minute."), class_="bad", role="alert") if wrong else None,
        h("p", t("You were logged out meanwhile. Log in: what you typed will be there.")) if typed else None,
        *[h("input", type="hidden", name=name, value=value) for name, value in hidden.items()],
        h("label", t.of("login", "Name"), h("input", name="name", autocomplete="username", required=True, autofocus=True)),
        h("label", t("Password"),
          h("input", name="password", type="password", autocomplete="current-password", required=True)),
        h("button", t("Log in"), class_="primary"),
        method="post", action="/login", class_="login",
    )  # fmt: skip
    return _html(context, t("Log in"), [h("main", form)], assets)


def not_found(context: Context, assets: str) -> str:
    """What stands where no page is."""
    t = context.t
    main = h("main", h("h1", t("There is no such page")),
             h("p", h("a", t("Go to the overview"), href="/")))  # fmt: skip
    return _html(context, "404", [main], assets)


def _html(context: Context, title: str, body: Iterable[Child], assets: str, stream: str | None = None) -> str:
    t = context.t
    head = h(
        "head",
        h("meta", charset="utf-8"),
        h("title", f"{title} · {context.plan.product}"),
        h("meta", name="viewport", content="width=device-width, initial-scale=1"),
        h("link", rel="icon", href=f"/static/icon.svg?{assets}"),
        h("link", rel="stylesheet", href=f"/static/style.css?{assets}"),
        h("script", src=f"/static/app.js?{assets}", defer=True),
        h("script", src=f"/static/charts.js?{assets}", defer=True),
    )
    words = {
        "data-lost": t("The dashboard does not answer: trying again …"),
        "data-failed": t("This part could not be loaded."),
        "data-again": t("Try again"),
        "data-copied": t("Copied"),
        "data-undrawn": t("The chart could not be drawn; the table has its numbers."),
        "data-library": f"/static/vega.js?{assets}",
    }
    attributes = {name.replace("-", "_"): value for name, value in words.items()}
    page = h("html", head, h("body", *body, data_stream=stream, **attributes),
             lang=t.tag, data_theme=context.theme)  # fmt: skip
    return "<!doctype html>\n" + page


def _switches(context: Context) -> Safe:
    t = context.t
    here = context.path + (f"?{context.with_query()}" if context.query else "")
    others = [Language(code) for code in CODES if code != t.code]
    theme = {"auto": "dark", "dark": "light", "light": "auto"}[context.theme]
    names = {"auto": t("Colours: system"), "dark": t("Colours: dark"),
             "light": t("Colours: light")}  # fmt: skip
    parts = [
        *[h("button", other.name, name="lang", value=other.code, lang=other.tag) for other in others],
        h("button", names[context.theme], name="theme", value=theme),
        h("input", type="hidden", name="back", value=here),
    ]
    out = None
    if context.can_log_out:
        out = h("form", h("button", t("Log out {user}", user=context.user)), method="post", action="/logout")
    return h("div", h("form", *parts, action="/set"), out, class_="switches")


# --- pieces ---


def live(key: str, content: Child = "", tag: str = "div", **attributes: Any) -> Safe:
    """A place whose content the stream of live figures replaces."""
    return h(tag, content, data_live=key, **attributes)


def lazy(context: Context, part: str, *, every: int | None = None, rows: int = 4, **query: Any) -> Safe:
    """A place that is filled after the page is there, and again each `every` seconds."""
    t = context.t
    waiting = h("div", *[h("span") for _ in range(rows)], class_="waiting", role="img", aria_label=t("Loading"))
    return h("div", waiting, data_part=f"/part/{part}?{context.with_query(**query)}", data_every=every, class_="part")


def term(label: str, definition: str | None, *, what: str | None = None) -> Safe:
    """A word with its definition one hover, or one key, away. `what` is its name where the word is only a sign."""
    if not definition:
        return text(label)
    return h("button", label, type="button", class_="term", data_def=definition, aria_label=what)


def linked(shown: str, address: str) -> Child:
    """A number that leads to what is behind it, if there is an address."""
    return h("a", shown, href=address) if address else shown


def panel(title: Child, *content: Child, note: Child = None, wide: bool = False, **attributes: Any) -> Safe:
    """A box with a heading."""
    head = h("div", h("h2", title), h("p", note, class_="note") if note else None, class_="head")
    return h("section", head, *content, class_="panel wide-panel" if wide else "panel", **attributes)


def tile(label: Safe | str, value: Child, below: Child = None, *, key: str | None = None) -> Safe:
    """One number that matters: what it is, the number, and what it is against."""
    shown = live(key, value, class_="value") if key else h("div", value, class_="value")
    under = live(f"{key}-below", below, class_="below") if key else h("div", below, class_="below")
    return h("div", h("div", label, class_="label"), shown, under, class_="tile")


def dim(*content: Child) -> Safe:
    """Words that may be overlooked."""
    return h("span", *content, class_="dim")


def bars(rows: Iterable[tuple[Child, float, str]], *, empty: Child) -> Safe:
    """Names with a number each, as bars of the largest."""
    found = list(rows)
    most = max((value for _, value, _ in found), default=0)
    items = [
        h("li", h("span", name, class_="name"), h("span", shown, class_="n"),
          h("span", class_="bar", style=f"width:{100 * value / most if most else 0:.1f}%"))
        for name, value, shown in found
    ]  # fmt: skip
    return h("ul", *items, class_="bars") if items else h("p", empty, class_="empty")


def note_bad(*content: Child) -> Safe:
    """Something is wrong."""
    return h("p", h("span", "▲ ", aria_hidden="true"), *content, class_="bad")


def note_good(*content: Child) -> Safe:
    """All is well."""
    return h("p", h("span", "● ", aria_hidden="true"), *content, class_="good")


def problem(t: Language, error: StoreError, url: str) -> Safe:
    """Why there is no answer from ClickHouse, and what to do about it."""
    words = {
        "away": (
            t("ClickHouse does not answer at {url}.", url=url),
            t("Live figures go on. Start ClickHouse, or look at PIPELINE_CLICKHOUSE_URL; this part comes back "
"by itself."),
        ),
        "empty": (
            t("ClickHouse has no tables of ours yet."),
            t("Run `streamgauge migrate` once."),
        ),
        "limit": (
            t("That question is too large for the dashboard's limits."),
            t("Choose fewer days or fewer groups."),
        ),
        "denied": (
            t("The user of the dashboard may not read this."),
            t("Grant it SELECT on the database."),
        ),
        "other": (t("ClickHouse could not answer."), ""),
    }  # fmt: skip
    what, advice = words[error.kind]
    detail = h("details", h("summary", t("What it said")), h("code", error.detail))
    return h("div", note_bad(what), h("p", advice), detail, class_="problem", role="alert")


def period_fields(context: Context, first: date, last: date) -> list[Safe]:
    """The two dates of a form."""
    t = context.t
    return [
        field(t("From"), h("input", type="date", name="from", value=first.isoformat())),
        field(t("To"), h("input", type="date", name="to", value=last.isoformat())),
    ]


def field(label: str, control: Safe) -> Safe:
    """A control with its label."""
    return h("label", h("span", label), control)


def select(name: str, options: Iterable[tuple[str, str]], chosen: str, id_: str | None = None) -> Safe:
    """A list to choose from: (value, what people read)."""
    return h(
        "select",
        *[h("option", shown, value=value, selected=value == chosen) for value, shown in options],
        name=name,
        id=id_,
    )


def fold(t: Language, controls: Safe, name: str = "") -> Safe:
    """A form that stands open, and folded on a phone: there the answer comes first."""
    return h("details", h("summary", name or t("Days and filters")), controls, class_="fold", open=True)


def form(context: Context, *fields: Child) -> Safe:
    """A form whose answer is this page, so that it can be sent as a link."""
    return h("form", *fields, h("button", context.t("Show"), class_="primary"), class_="asked", action=context.path)
