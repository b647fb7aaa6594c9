"""Which pages stand together in the navigation: by what one wants to know, not by what they are made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pipeline.dashboard.context import Page
from pipeline.render.html import Safe, h, text
from pipeline.render.language import Language

#: Tasks in the order in which one comes to them, with their pages.
TASKS: Final = (
    ("How it goes", ("/", "/boards", "/report", "/kept")),
    ("Why people stay or leave", ("/funnels", "/retention", "/paths", "/explore")),
    ("What brings people", ("/acquisition", "/campaigns", "/experiments")),
    ("What it earns", ("/revenue", "/more")),
    ("Who they are", ("/segments", "/person")),
    ("Whether the data are right", ("/events", "/quality", "/plan")),
)


def navigation(t: Language, pages: Sequence[Page], here: str) -> Safe:
    """The links, under what each group answers. A page that no task names stands at the end."""
    pages = [page for page in pages if page.listed]
    by_path = {page.path: page for page in pages}
    named = {path for _, paths in TASKS for path in paths}
    groups = [(t.of("task", task), [by_path[path] for path in paths if path in by_path]) for task, paths in TASKS]
    if rest := [page for page in pages if page.path not in named and page.listed]:
        groups.append((t("More"), rest))
    drawn = []
    for k, (name, found) in enumerate(groups):
        links = [
            h("li", h("a", p.title(t), href=p.path, aria_current="page" if p.path == here else None)) for p in found
        ]
        if links:
            drawn += [h("p", name, class_="task", id=f"task-{k}"), h("ul", *links, aria_labelledby=f"task-{k}")]
    return text(*drawn)
