"""What changed, drawn: as a whole, or as one of the parts that it is made of."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.insight.model import Finding
from pipeline.render.html import Safe, h, text
from pipeline.render.language import Language
from pipeline.report.findings import all_findings, reference_words, since_words
from pipeline.report.model import CHANGED_PEOPLE, Facts


def what_changed(t: Language, facts: Facts) -> Safe:
    """All of it, the bad first, the heaviest first; or that there is nothing."""
    if not facts.key.users:
        return _nobody(t)
    found = all_findings(t, facts)
    young = since_words(t, facts)
    if not found and not facts.knows(facts.period.reference):
        return h("p", young)
    note = h("p", young, class_="note") if young else None
    if not found:
        return text(h("p", nothing_changed(t, facts)), note)
    return text(h("ol", *_items(t, found), class_="what"), note)


def part_of_changed(t: Language, facts: Facts, part: str) -> Safe:
    """What one part has found; each says how heavy it is, for whoever puts the parts together.

    Words that make it needless to say that nothing changed are marked as said (`data-said`).
    """
    found = all_findings(t, facts)
    items = h("ol", *_items(t, found), class_="what") if found else None
    if part != CHANGED_PEOPLE:
        return text(items)
    if not facts.key.users:
        return h("div", _nobody(t), data_said=True)
    young = since_words(t, facts)
    knows = facts.knows(facts.period.reference)
    return text(items, h("p", young, class_="note" if knows else None, data_said=not knows) if young else None)


def nothing_changed(t: Language, facts: Facts) -> str:
    """That nothing did, in words."""
    return t("Nothing changed by more than chance and at least 5 % against {facts}, and no step of a funnel fell.",
             facts=reference_words(t, facts))  # fmt: skip


def _nobody(t: Language) -> Safe:
    return h("p", t("There were no events in these days."))


def _items(t: Language, found: Sequence[Finding]) -> list[Safe]:
    return [
        h("li",
          h("p", h("strong", ("▼ " if f.bad else "▲ ") + f.what), class_="bad-word" if f.bad else "good-word"),
          h("p", f.why) if f.why else None,
          h("p", t("To do: "), f.advice) if f.advice else None,
          h("p", t("How sure: "), f.sure, class_="note"),
          data_rank=f"{-f.weight - 1e6 * f.bad:.3f}")
        for f in found
    ]  # fmt: skip
