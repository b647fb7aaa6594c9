"""A funnel as a list of steps with bars: users, share, drop-off, time, and where most are lost."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.insight.significance import ENOUGH
from pipeline.insight.steps import worst_step
from pipeline.render.html import Child, Safe, h, text
from pipeline.render.language import Language


def step_list(
    t: Language,
    titles: Sequence[str],
    users: Sequence[int],
    before: Sequence[int] | None = None,
    median_ms: Sequence[float | None] | None = None,
    people: Sequence[tuple[str, str]] = (),
) -> Safe:
    """The steps of a funnel. `before` are the users of the period that it is compared with.

    `people` are for each step the addresses of who came to it, and of who was lost before it.
    """
    if not any(users):
        return h("p", t("Nobody has begun this funnel yet."), class_="empty")
    worst = worst_step(users)
    first = users[0]
    items = []
    for k, (title, count) in enumerate(zip(titles, users, strict=True)):
        share = count / first if first else 0.0
        said: list[Child] = []
        came, gone = people[k] if people else ("", "")
        if k and users[k - 1]:
            kept = count / users[k - 1]
            said.append(t("{kept} of the step before", kept=t.percent(kept)))
            lost = users[k - 1] - count
            words = t("{lost} lost", lost=t.number(lost))
            said.append(h("a", words, href=gone) if gone and lost else words)
            if before is not None and before[k - 1] >= ENOUGH:
                said.append(t("{kept} against before", kept=t.points(kept - before[k] / before[k - 1])))  # fmt: skip
        if median_ms is not None and k and median_ms[k] is not None:
            said.append(t("median {median_ms}", median_ms=t.duration(median_ms[k])))
        leak = h("strong", t("▼ most are lost here"), class_="leak") if k == worst else None
        items.append(
            h("li",
              h("span", f"{k + 1}. {title}", class_="name"),
              h("span", h("a", t.number(count), href=came) if came and count else t.number(count), class_="n"),
              h("span", t.percent(share), class_="share"),
              h("span", h("span", class_="bar", style=f"width:{100 * share:.2f}%"), class_="track"),
              h("span", _joined(said), " " if said and leak else None, leak, class_="said") if said or leak else None,
              class_="worst" if k == worst else None)
        )  # fmt: skip
    note = None
    if worst is None:
        note = h("p", t("Too few users yet to say where most are lost (at least {enough}).", enough=ENOUGH), class_="note")  # fmt: skip
    return text(h("ol", *items, class_="steps"), note)


def _joined(parts: Sequence[Child]) -> Safe:
    return text([part if k == 0 else (" · ", part) for k, part in enumerate(parts)])
