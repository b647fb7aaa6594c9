"""From figures to sentences: plain rules that say what changed, how sure it is, what explains it and what to do.

Pure. Every sentence holds the numbers it rests on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Final

from pipeline.report.contribution import Part, best, sum_parts, z_of_counts, z_of_shares
from pipeline.report.model import Change, Facts, Finding, FunnelFacts, Key
from pipeline.show.language import Language

#: A change of a key figure is worth a sentence from here on.
NOTABLE: Final = 0.05
LIKELY: Final = 2.58
ENOUGH: Final = 30


def all_findings(t: Language, facts: Facts) -> list[Finding]:
    """What is worth saying, the bad first, the heaviest first."""
    found = step_findings(t, [change for funnel in facts.funnels for change in funnel.changes])
    found += [f for measure in ("users", "new_users", "orders", "revenue") if (f := key_finding(t, facts, measure))]
    if (quality := quality_finding(t, facts)) is not None:
        found.append(quality)
    return sorted(found, key=lambda f: (not f.bad, -f.weight))


def sureness(t: Language, z: float) -> str:
    """How sure a difference of |z| standard errors is, in words."""
    size = abs(z)
    if size >= 3.9:
        return t("almost certain", "几乎可以肯定")
    if size >= LIKELY:
        return t("very likely", "很可能")
    return t("likely", "较可能") if size >= 1.96 else t("may be chance", "可能是偶然")


def step_findings(t: Language, changes: Sequence[Change]) -> list[Finding]:
    """The steps that fell; what another funnel shows of the same break is said with the surest, not again."""
    found: list[tuple[Change, Finding]] = []
    for change in sorted(changes, key=lambda c: c.z):
        same = next((k for k, (other, _) in enumerate(found) if _same(change, other)), None)
        if same is None:
            found.append((change, step_finding(t, change)))
            continue
        other, finding = found[same]
        also = t(
            f" The funnel {change.funnel} shows it too ({change.step} → {change.following}).",
            f"漏斗 {change.funnel} 也有体现（{change.step} → {change.following}）。",
        )
        found[same] = (other, replace(finding, why=finding.why + also))
    return [finding for _, finding in found]


def _same(one: Change, other: Change) -> bool:
    """Whether two funnels show one break: one segment, about one day."""
    segments = [(c.segment.dimension, c.segment.value) if c.segment else None for c in (one, other)]
    return one.funnel != other.funnel and segments[0] == segments[1] and abs((one.since - other.since).days) <= 1


def step_finding(t: Language, change: Change) -> Finding:
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


def _explains(t: Language, change: Change, part: Part, who: str) -> str:
    return t(
        f"{who} explains {t.percent(min(part.explained, 1.0), 0)} of the fall from {t.percent(change.before)} to "
        f"{t.percent(change.after)}, with {t.percent(part.size, 0)} of the users "
        f"({t.number(part.n_before)} before, {t.number(part.n_after)} since).",
        f"{who} 占用户 {t.percent(part.size, 0)}（此前 {t.number(part.n_before)} 人，之后 {t.number(part.n_after)} 人），"
        f"却解释了整体从 {t.percent(change.before)} 到 {t.percent(change.after)} 降幅的 {t.percent(min(part.explained, 1.0), 0)}。",
    )


def segment_name(t: Language, part: Part) -> str:
    """`android`, `android 5.2.0`, `channel ads`: the segment as people name it."""
    if part.dimension.startswith("platform"):
        return part.value.replace(" / ", " ")
    return f"{part.dimension} {part.value}"


def _advice(t: Language, change: Change, part: Part, day: str) -> str:
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


def key_finding(t: Language, facts: Facts, measure: str) -> Finding | None:
    """A key figure that differs notably from the same weekday; None if it doesn't, or few are behind it."""
    now, then = float(getattr(facts.key, measure)), float(getattr(facts.reference, measure))
    if not then or (not now and measure == "revenue"):
        return None
    change = (now - then) / then
    counted = ("orders", "orders") if measure == "revenue" else (measure, measure)
    n1, n0 = float(getattr(facts.key, counted[0])), float(getattr(facts.reference, counted[1]))
    z = z_of_counts(n0, n1)
    notable = abs(change) >= NOTABLE and abs(z) >= LIKELY
    # Revenue moves by the size of orders too, which the count behind it doesn't show.
    notable = notable or (measure == "revenue" and abs(change) >= 2 * NOTABLE)
    if not notable or min(n0, n1) < ENOUGH:
        return None
    name = {
        "users": t("Active users", "活跃用户"), "new_users": t("New users", "新用户"), "orders": t("Orders", "订单数"),
        "revenue": t("Revenue", "收入"),
    }[measure]  # fmt: skip
    form = t.money if measure == "revenue" else t.number
    against = reference_words(t, facts)
    what = t(
        f"{name} {'rose' if change > 0 else 'fell'} {t.percent(abs(change))} against {against}: {form(then)} to {form(now)}.",
        f"{name}较{against}{'上升' if change > 0 else '下降'} {t.percent(abs(change))}：{form(then)} → {form(now)}。",
    )
    sure = t(
        f"{sureness(t, z)}: {t.number(n0)} {'orders' if measure == 'revenue' else ''} then, {t.number(n1)} now".replace(
            "  ", " "
        ),
        f"{sureness(t, z)}：当时 {t.number(n0)}，现在 {t.number(n1)}" + (" 单" if measure == "revenue" else ""),
    )
    part = best(
        [
            p
            for dimension, (after, before) in facts.segments.get(measure, {}).items()
            for p in sum_parts(dimension, before, after)
        ]
    )
    why, advice = _key_reason(t, facts, measure, part, change)
    return Finding(what, sure, why, advice, change < 0, abs(z) / 2)


def _key_reason(t: Language, facts: Facts, measure: str, part: Part | None, change: float) -> tuple[str, str]:
    form = t.money if measure == "revenue" else t.number
    if part is None:
        why = t("No single segment explains it.", "没有单一分群能解释。")
    else:
        why = t(
            f"{segment_name(t, part)} explains {t.percent(min(part.explained, 1.0), 0)} of it "
            f"({form(part.before)} to {form(part.after)}; it had {t.percent(part.size, 0)} of the whole).",
            f"{segment_name(t, part)} 解释了其中 {t.percent(min(part.explained, 1.0), 0)}"
            f"（{form(part.before)} → {form(part.after)}，原占 {t.percent(part.size, 0)}）。",
        )
    if measure == "revenue":
        why += " " + _revenue_parts(t, facts.key, facts.reference)
    if change > 0:
        return why, ""
    if part is not None and part.dimension in ("channel", "campaign"):
        return why, t(
            f"Look at the spend and the tracking links of {part.value}.", f"检查 {part.value} 的投放和跟踪链接。"
        )
    if measure in ("orders", "revenue"):
        return why, t("See the funnel below: which step loses more than before.", "见下方漏斗：哪一步流失增加。")
    return why, t("Compare with campaigns, holidays and releases of those days.", "对照这些天的活动、节假日与发版。")


def _revenue_parts(t: Language, now: Key, then: Key) -> str:
    """Whether it is the number of orders or their size."""
    if not now.average_order or not then.average_order:
        return ""
    orders = now.orders / then.orders - 1
    size = now.average_order / then.average_order - 1
    return t(
        f"Orders {t.change(orders)}, revenue an order {t.change(size)}.",
        f"订单数 {t.change(orders)}，单均收入 {t.change(size)}。",
    )


def quality_finding(t: Language, facts: Facts) -> Finding | None:
    """More records rejected than before."""
    now, then = facts.quality, facts.quality_before
    if now.seen < 200:
        return None
    share = now.rejected / now.seen
    before = then.rejected / then.seen if then.seen else 0.0
    z = z_of_shares(then.rejected, then.seen, now.rejected, now.seen) if then.seen else 0.0
    if share < 0.02 or (then.seen and (z < 3.9 or share < 1.5 * before)):
        return None
    reason, count, example = now.reasons[0] if now.reasons else ("", 0, "")
    what = t(
        f"{t.percent(share)} of all records were rejected ({t.number(now.rejected)} of {t.number(now.seen)}), against {t.percent(before)} before.",
        f"{t.percent(share)} 的记录被拒绝（{t.number(now.seen)} 条中 {t.number(now.rejected)} 条），此前 {t.percent(before)}。",
    )
    why = t(
        f"Most often: {reason} ({t.number(count)}), such as: {example}",
        f"最常见：{reason}（{t.number(count)} 条），例如：{example}",
    )
    advice = t(
        "They are kept whole: mend the producer or the plan, then `streamgauge rejected redrive`.",
        "原文已保留：修正上报端或方案后执行 `streamgauge rejected redrive`。",
    )
    return Finding(what, sureness(t, z if then.seen else 4.0), why, advice, True, abs(z))


def reference_words(t: Language, facts: Facts) -> str:
    """What findings are measured against, in words."""
    return weekday_words(t, facts) if facts.period.kind == "day" else t("the week before", "上周")


def weekday_words(t: Language, facts: Facts) -> str:
    """The same weekday, or the week four weeks before, in words."""
    other = facts.period.same_weekday
    if facts.period.kind == "day":
        return t.day(other.first, weekday=True)
    return t(f"the week of {t.day(other.first)}", f"{t.day(other.first)} 当周")


def worst(t: Language, funnel: FunnelFacts) -> str:
    """The step that loses most, whether it changed or not."""
    shares = [(b / a, k) for k, (a, b) in enumerate(pairwise(funnel.users), 1) if a >= ENOUGH]
    if not shares:
        return t("Too few users to say where most are lost.", "用户太少，无法判断流失最多的步骤。")
    share, k = min(shares)
    said = t(
        f"Most are lost at {funnel.titles[k - 1]} → {funnel.titles[k]}: {t.percent(share)} go on ({t.number(funnel.users[k])} of {t.number(funnel.users[k - 1])}).",
        f"流失最多：{funnel.titles[k - 1]} → {funnel.titles[k]}，继续率 {t.percent(share)}（{t.number(funnel.users[k - 1])} 人中 {t.number(funnel.users[k])} 人）。",
    )
    if not funnel.changes:
        said += " " + t("No step fell surely in the last four weeks.", "近四周没有步骤明显下降。")
    return said
