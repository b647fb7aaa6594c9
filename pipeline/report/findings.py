"""From figures to sentences: plain rules that say what changed, how sure it is, what explains it and what to do.

Pure. Every sentence holds the numbers it rests on.
"""

from __future__ import annotations

from typing import Final

from pipeline.insight.contribution import SegmentChange, segment_of_sum
from pipeline.insight.model import Finding
from pipeline.insight.sentences import segment_name, step_findings, sureness
from pipeline.insight.significance import ALMOST_CERTAIN, ENOUGH, VERY_LIKELY, z_of_counts, z_of_shares
from pipeline.render.language import Language
from pipeline.report.model import Facts, Key

#: A change of a key figure is worth a sentence from here on.
NOTABLE: Final = 0.05


def all_findings(t: Language, facts: Facts) -> list[Finding]:
    """What is worth saying, the bad first, the heaviest first."""
    found = step_findings(t, [change for funnel in facts.funnels for change in funnel.changes])
    found += [f for measure in ("users", "new_users", "orders", "revenue") if (f := key_finding(t, facts, measure))]
    if (quality := quality_finding(t, facts)) is not None:
        found.append(quality)
    return sorted(found, key=lambda f: (not f.bad, -f.weight))


def key_finding(t: Language, facts: Facts, measure: str) -> Finding | None:
    """A key figure that differs notably from the same weekday; None if it doesn't, few are behind it, or nothing is known
    of the time before."""
    if not facts.knows(facts.period.reference, measure):
        return None
    now, then = float(getattr(facts.key, measure)), float(getattr(facts.reference, measure))
    if not then or (not now and measure == "revenue"):
        return None
    change = (now - then) / then
    counted = ("orders", "orders") if measure == "revenue" else (measure, measure)
    n1, n0 = float(getattr(facts.key, counted[0])), float(getattr(facts.reference, counted[1]))
    z = z_of_counts(n0, n1)
    notable = abs(change) >= NOTABLE and abs(z) >= VERY_LIKELY
    # Revenue moves by the size of orders too, which the count behind it doesn't show.
    notable = notable or (measure == "revenue" and abs(change) >= 2 * NOTABLE)
    if not notable or min(n0, n1) < ENOUGH:
        return None
    name = {
        "users": t("Active users"), "new_users": t("New users"), "orders": t("Orders"),
        "revenue": t("Revenue"),
    }[measure]  # fmt: skip
    form = t.money if measure == "revenue" else t.number
    against = reference_words(t, facts)
    what = t(
        "{name} rose {share} against {against}: {then} to {now}."
        if change > 0
        else "{name} fell {share} against {against}: {then} to {now}.",
        name=name, share=t.percent(abs(change)), against=against, then=form(then), now=form(now),
    )  # fmt: skip
    sure = t(
        "{sure}: {then} orders then, {now} now" if measure == "revenue" else "{sure}: {then} then, {now} now",
        sure=sureness(t, z), then=t.number(n0), now=t.number(n1),
    )  # fmt: skip
    segments = facts.segments.get(measure, {})
    part = segment_of_sum({dimension: (before, after) for dimension, (after, before) in segments.items()})
    why, advice = _key_reason(t, facts, measure, part, change)
    return Finding(what, sure, why, advice, change < 0, abs(z) / 2)


def _key_reason(t: Language, facts: Facts, measure: str, part: SegmentChange | None, change: float) -> tuple[str, str]:
    form = t.money if measure == "revenue" else t.number
    if part is None:
        why = t("No single segment explains it.")
    else:
        why = t(
            "{part} explains {explained} of it ({before} to {after}; it had {size} of the whole).",
            part=segment_name(t, part),
            explained=t.percent(min(part.explained, 1.0), 0),
            before=form(part.before),
            after=form(part.after),
            size=t.percent(part.size, 0),
        )
    if measure == "revenue":
        why += " " + _revenue_parts(t, facts.key, facts.reference)
    if change > 0:
        return why, ""
    if part is not None and part.dimension in ("channel", "campaign"):
        return why, t("Look at the spend and the tracking links of {value}.", value=part.value)
    if measure in ("orders", "revenue"):
        return why, t("See the funnel below: which step loses more than before.")
    return why, t("Compare with campaigns, holidays and releases of those days.")


def _revenue_parts(t: Language, now: Key, then: Key) -> str:
    """Whether it is the number of orders or their size."""
    if not now.average_order or not then.average_order:
        return ""
    orders = now.orders / then.orders - 1
    size = now.average_order / then.average_order - 1
    return t("Orders {orders}, revenue an order {size}.", orders=t.change(orders), size=t.change(size))


def quality_finding(t: Language, facts: Facts) -> Finding | None:
    """More records rejected than before."""
    now, then = facts.quality, facts.quality_before
    if now.seen < 200:
        return None
    share = now.rejected / now.seen
    before = then.rejected / then.seen if then.seen else 0.0
    z = z_of_shares(then.rejected, then.seen, now.rejected, now.seen) if then.seen else 0.0
    if share < 0.02 or (then.seen and (z < ALMOST_CERTAIN or share < 1.5 * before)):
        return None
    reason, count, example = now.reasons[0] if now.reasons else ("", 0, "")
    what = t(
        "{share} of all records were rejected ({rejected} of {seen}), against {before} before.",
        share=t.percent(share),
        rejected=t.number(now.rejected),
        seen=t.number(now.seen),
        before=t.percent(before),
    )
    why = t(
        "Most often: {reason} ({count}), such as: {example}",
        reason=reason,
        count=t.number(count),
        example=t.read(example),
    )
    advice = t("They are kept whole: mend the producer or the plan, then `streamgauge rejected redrive`.")
    return Finding(what, sureness(t, z if then.seen else 4.0), why, advice, True, abs(z))


def since_words(t: Language, facts: Facts) -> str:
    """What can't be compared yet, because the records begin too late for it; "" if everything can."""
    reference = facts.period.reference
    if facts.since is None or facts.knows(reference, "new_users"):
        return ""
    day = t.day(facts.since)
    if not facts.knows(reference):
        return t("Records begin on {day}: there is nothing before to compare these days with.", day=day)
    return t(
        "Records begin on {day}. For some weeks from then on whoever was there before them comes for the first time, too: "
        "new users are not compared yet.", day=day,
    )  # fmt: skip


def reference_words(t: Language, facts: Facts) -> str:
    """What findings are measured against, in words."""
    period = facts.period
    if period.kind == "day":
        return _up_to(t, facts, weekday_words(t, facts))
    if period.asked is not None:
        return _up_to(t, facts, t("the same days of the week before"))
    return t("the week before")


def weekday_words(t: Language, facts: Facts) -> str:
    """The same weekday, or the week four weeks before, in words."""
    other = facts.period.same_weekday
    if facts.period.kind == "day":
        return t.day(other.first, weekday=True)
    return t("the week of {first}", first=t.day(other.first))


def part_words(t: Language, facts: Facts) -> str:
    """That the period is not over, and which part of it is told and compared; "" if it is over."""
    period = facts.period
    if period.asked is None:
        return ""
    if period.until is not None:
        at = f"{period.until:%H:%M}"
        return t("Not over: the figures are those up to {at}, compared with other days up to the same time.", at=at)
    span = t.day(period.first) if period.days == 1 else f"{t.day(period.first)} – {t.day(period.last)}"
    return t("Not over: the figures are those of {span}, compared with the same days of other weeks.", span=span)


def _up_to(t: Language, facts: Facts, days: str) -> str:
    until = facts.period.until
    return days if until is None else t("{days} up to {until}", days=days, until=f"{until:%H:%M}")
