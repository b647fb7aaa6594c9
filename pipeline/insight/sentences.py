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
        return t("almost certain", "几乎可以肯定")
    if size >= VERY_LIKELY:
        return t("very likely", "很可能")
    return t("likely", "较可能") if size >= LIKELY else t("may be chance", "可能是偶然")


def step_findings(t: Language, changes: Sequence[Drop]) -> list[Finding]:
    """The steps that fell; what another funnel shows of the same break is said with the surest, not again."""
    return [finding_with(t, change, others) for change, others in by_break(changes)]


def by_break(changes: Sequence[Drop]) -> list[tuple[Drop, list[Drop]]]:
    """The steps that fell, the surest first, each with what other funnels show of the same break."""
    found: list[tuple[Drop, list[Drop]]] = []
    for change in sorted(changes, key=lambda c: c.z):
        same = next((others for other, others in found if _same(change, other)), None)
        if same is None:
            found.append((change, []))
        else:
            same.append(change)
    return found


def finding_with(t: Language, change: Drop, others: Sequence[Drop]) -> Finding:
    """A step that fell, and which other funnels show it."""
    finding = step_finding(t, change)
    for other in others:
        also = t(
            f" The funnel {other.funnel} shows it too ({other.step} → {other.following}).",
            f"漏斗 {other.funnel} 也有体现（{other.step} → {other.following}）。",
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
        f"{sureness(t, change.z)}: {t.number(change.n_before)} users before, {t.number(change.n_after)} since",
        f"{sureness(t, change.z)}：此前 {t.number(change.n_before)} 人，之后 {t.number(change.n_after)} 人",
    )
    if part is None:
        what = t(
            f"{step} fell from {t.percent(change.before)} to {t.percent(change.after)} (funnel {change.funnel}), since {day}.",
            f"{step} 从 {t.percent(change.before)} 降到 {t.percent(change.after)}（漏斗 {change.funnel}），自 {day} 起。",
        )
        why = t("No single segment explains it: it fell for all alike.", "没有单一分群能解释：各分群同样下降。")
        advice = t(
            f"Look at what changed for everybody on {day}: a release, a price, a payment provider.",
            f"检查 {day} 影响所有人的变化：发版、价格或支付渠道。",
        )
        return Finding(what, sure, why, advice, True, abs(change.z))
    who = segment_name(t, part)
    what = t(
        f"{step} fell from {t.percent(part.before)} to {t.percent(part.after)} on {who} only (funnel {change.funnel}), since {day}.",
        f"仅 {who}：{step} 从 {t.percent(part.before)} 降到 {t.percent(part.after)}（漏斗 {change.funnel}），自 {day} 起。",
    )
    if not part.explained:
        why = t(
            f"With {t.percent(part.size, 0)} of the users ({t.number(part.n_before)} before, {t.number(part.n_after)} since) it is too small "
            f"to show in the whole.",
            f"该分群占用户 {t.percent(part.size, 0)}（此前 {t.number(part.n_before)} 人，之后 {t.number(part.n_after)} 人），太小，整体上看不出来。",
        )
    else:
        why = _explains(t, change, part, who)
    if change.rest is not None:
        why += t(
            f" Everywhere else it went from {t.percent(change.rest[0])} to {t.percent(change.rest[1])}.",
            f"其他用户从 {t.percent(change.rest[0])} 变为 {t.percent(change.rest[1])}。",
        )
    return Finding(what, sure, why, _advice(t, change, part, day), True, abs(change.z))


def _explains(t: Language, change: Drop, part: SegmentChange, who: str) -> str:
    return t(
        f"{who} explains {t.percent(min(part.explained, 1.0), 0)} of the fall from {t.percent(change.before)} to "
        f"{t.percent(change.after)}, with {t.percent(part.size, 0)} of the users "
        f"({t.number(part.n_before)} before, {t.number(part.n_after)} since).",
        f"{who} 占用户 {t.percent(part.size, 0)}（此前 {t.number(part.n_before)} 人，之后 {t.number(part.n_after)} 人），"
        f"却解释了整体从 {t.percent(change.before)} 到 {t.percent(change.after)} 降幅的 {t.percent(min(part.explained, 1.0), 0)}。",
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
            return t(
                f"Compare with {others}, where it holds: roll back or fix.", f"与表现正常的 {others} 对比：回滚或修复。"
            )
        return t("Compare with the version before: roll back or fix.", "与上一个版本对比：回滚或修复。")
    if part.dimension == "platform":
        return t(
            f"Go through {change.step} → {change.following} by hand on {part.value}, and look at what was released there on {day}.",
            f"在 {part.value} 上手动走一遍 {change.step} → {change.following}，并检查 {day} 的发版。",
        )
    if part.dimension in ("channel", "campaign", "referrer"):
        return t(
            f"Look at where {part.value} leads to and whom it brings since {day}: landing page, targeting, tracking links.",
            f"检查 {day} 起 {part.value} 的落地页、定向和跟踪链接。",
        )
    return t(f"Look at what changed for {part.value} on {day}.", f"检查 {day} 对 {part.value} 的变化。")


def worst(t: Language, funnel: FunnelFacts) -> str:
    """The step that loses most, whether it changed or not."""
    k = worst_step(funnel.users)
    if k is None:
        return t("Too few users to say where most are lost.", "用户太少，无法判断流失最多的步骤。")
    share = funnel.users[k] / funnel.users[k - 1]
    said = t(
        f"Most are lost at {funnel.titles[k - 1]} → {funnel.titles[k]}: {t.percent(share)} go on ({t.number(funnel.users[k])} of {t.number(funnel.users[k - 1])}).",
        f"流失最多：{funnel.titles[k - 1]} → {funnel.titles[k]}，继续率 {t.percent(share)}（{t.number(funnel.users[k - 1])} 人中 {t.number(funnel.users[k])} 人）。",
    )
    if not funnel.changes:
        said += " " + t("No step fell surely in the last four weeks.", "近四周没有步骤明显下降。")
    return said
