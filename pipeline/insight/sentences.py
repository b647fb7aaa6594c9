"""Steps that fell, in sentences: what changed, how sure it is, which segment explains it, what to do.

Pure. Every sentence holds the numbers it rests on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pipeline.insight.contribution import SegmentChange
from pipeline.insight.model import Drop, Finding, FunnelFacts
from pipeline.insight.significance import ALMOST_CERTAIN, LIKELY, VERY_LIKELY
from pipeline.insight.steps import worst_step
from pipeline.render.language import Language


def sureness(t: Language, z: float) -> str:
    """How sure a difference of |z| standard errors is, in words."""
    size = abs(z)
    if size >= ALMOST_CERTAIN:
        return t("almost certain")
    if size >= VERY_LIKELY:
        return t("very likely")
    return t("likely") if size >= LIKELY else t("may be chance")


def step_findings(t: Language, changes: Sequence[Drop]) -> list[Finding]:
    """The steps that fell; what another funnel shows of the same break is said with the surest, not again."""
    return [finding_with(t, change, others) for change, others in by_break(changes)]


def by_break(changes: Sequence[Drop]) -> list[tuple[Drop, list[Drop]]]:
    """The steps that fell, the surest first, each with what other funnels show of the same break.

    Of one break that step leads which says most closely where it is: two steps of one funnel may be one of another.
    """
    breaks: list[list[Drop]] = []
    for change in sorted(changes, key=lambda c: c.z):
        same = next((others for others in breaks if _same(change, others[0])), None)
        if same is None:
            breaks.append([change])
        else:
            same.append(change)
    found = []
    for one, *others in breaks:
        lead = next((other for other in others if other.within(one)), one)
        found.append((lead, [change for change in (one, *others) if change is not lead]))
    return found


def finding_with(t: Language, change: Drop, others: Sequence[Drop]) -> Finding:
    """A step that fell, and which other funnels show it."""
    finding = step_finding(t, change)
    for other in others:
        also = t(
            " The funnel {funnel} shows it too ({step} → {following}).",
            funnel=other.funnel,
            step=other.step,
            following=other.following,
        )
        finding = replace(finding, why=finding.why + also)
    return finding


def _same(one: Drop, other: Drop) -> bool:
    """Whether two funnels show one break: one segment, about one day."""
    segments = [(c.segment.dimension, c.segment.value) if c.segment else None for c in (one, other)]
    return one.funnel != other.funnel and segments[0] == segments[1] and abs((one.since - other.since).days) <= 1


def step_finding(t: Language, change: Drop) -> Finding:
    """A step of a funnel that fell: the step, the segment and the day."""
    part = change.segment
    day = t.day(change.since, weekday=True)
    step = f"{change.step} → {change.following}"
    sure = t(
        "{z}: {n_before} users before, {n_after} since",
        z=sureness(t, change.z),
        n_before=t.number(change.n_before),
        n_after=t.number(change.n_after),
    )
    if part is None:
        what = t(
            "{step} fell from {before} to {after} (funnel {funnel}), since {day}.",
            step=step,
            before=t.percent(change.before),
            after=t.percent(change.after),
            funnel=change.funnel,
            day=day,
        )
        why = t("No single segment explains it: it fell for all alike.")
        advice = t("Look at what changed for everybody on {day}: a release, a price, a payment provider.", day=day)
        return Finding(what, sure, why, advice, True, abs(change.z))
    who = segment_name(t, part)
    what = t(
        "{step} fell from {before} to {after} on {who} only (funnel {funnel}), since {day}.",
        step=step,
        before=t.percent(part.before),
        after=t.percent(part.after),
        who=who,
        funnel=change.funnel,
        day=day,
    )
    if not part.explained:
        why = t(
            "With {size} of the users ({n_before} before, {n_after} since) it is too small to show in the whole.",
            size=t.percent(part.size, 0),
            n_before=t.number(part.n_before),
            n_after=t.number(part.n_after),
        )
    else:
        why = _explains(t, change, part, who)
    if change.rest is not None:
        why += t(
            " Everywhere else it went from {before} to {after}.",
            before=t.percent(change.rest[0]),
            after=t.percent(change.rest[1]),
        )
    return Finding(what, sure, why, _advice(t, change, part, day), True, abs(change.z))


def _explains(t: Language, change: Drop, part: SegmentChange, who: str) -> str:
    return t(
        "{who} explains {explained} of the fall from {before} to {after}, with {size} of the users "
        "({n_before} before, {n_after} since).",
        who=who,
        explained=t.percent(min(part.explained, 1.0), 0),
        before=t.percent(change.before),
        after=t.percent(change.after),
        size=t.percent(part.size, 0),
        n_before=t.number(part.n_before),
        n_after=t.number(part.n_after),
    )


def segment_name(t: Language, part: SegmentChange) -> str:
    """`android`, `android 5.2.0`, `channel ads`: the segment as people name it."""
    if part.dimension.startswith("platform"):
        return part.value.replace(" / ", " ")
    return f"{part.dimension} {part.value}"


def _advice(t: Language, change: Drop, part: SegmentChange, day: str) -> str:
    if "app_version" in part.dimension:
        others = t.listed([f"{value.replace(' / ', ' ')} ({t.percent(rate)})" for value, rate in change.siblings[:2]])
        if others:
            return t("Compare with {others}, where it holds: roll back or fix.", others=others)
        return t("Compare with the version before: roll back or fix.")
    if part.dimension == "platform":
        return t(
            "Go through {step} → {following} by hand on {value}, and look at what was released there on {day}.",
            step=change.step,
            following=change.following,
            value=part.value,
            day=day,
        )
    if part.dimension in ("channel", "campaign", "referrer"):
        return t(
            "Look at where {value} leads to and whom it brings since {day}: landing page, targeting, tracking links.",
            value=part.value,
            day=day,
        )
    return t("Look at what changed for {value} on {day}.", value=part.value, day=day)


def worst(t: Language, funnel: FunnelFacts) -> str:
    """The step that loses most, whether it changed or not."""
    k = worst_step(funnel.users)
    if k is None:
        return t("Too few users to say where most are lost.")
    share = funnel.users[k] / funnel.users[k - 1]
    return t(
        "Most are lost at {before} → {step}: {share} go on ({users} of {all}).",
        before=funnel.titles[k - 1],
        step=funnel.titles[k],
        share=t.percent(share),
        users=t.number(funnel.users[k]),
        all=t.number(funnel.users[k - 1]),
    )
