"""Verdicts in words: plain rules over the rows of metrics, saying how many users they rest on and how sure they are.

Pure: rows in, sentences out. Used by the dashboard and the report. The tests of experiments are made in SQL.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pipeline.insight.significance import ENOUGH
from pipeline.render.language import Language

#: Users that a variant must have before anything is said of it.
ENOUGH_OF_VARIANT: Final = 100
SURE: Final = 0.05
#: The row of `experiment_results` for users who met more than one variant.
SEVERAL: Final = "(several)"


def p_text(t: Language, p: float) -> str:
    """`p = 0.032`, `p < 0.001`."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def interval(t: Language, low: float, high: float) -> str:
    """The bounds of a difference of shares, in points."""
    return f"{100 * low:+.1f} … {t.points(high)}".replace("-", "−")


def experiment_verdict(t: Language, row: Mapping[str, Any], control: Mapping[str, Any] | None, mismatch: bool) -> str:
    """What a row of `experiment_results` says of its variant."""
    if row["variant"] == SEVERAL:
        return t("met more than one variant: in none of them", "遇到多个实验组：不计入任何一组")
    if control is None:
        return t("no control to compare with", "没有对照组可比")
    if row["variant"] == control["variant"]:
        return t("the others are compared with it", "对照组")
    if mismatch:
        return t(
            "Not to be trusted: users were not split as planned. Find the reason first.",
            "不可信：分流比例与设计不符，请先查明原因。",
        )
    fewest = min(row["users"], control["users"])
    if fewest < ENOUGH_OF_VARIANT or row["difference"] is None or row["p_value"] is None or row["too_few"]:
        return t(f"Too few users to say ({t.number(fewest)}).", f"样本太少，无法判断（{t.number(fewest)} 人）。")
    bounds = interval(t, row["difference_low"], row["difference_high"])
    if row["p_value"] >= SURE:
        return t(
            f"No difference shown: it lies within {bounds}. One of {t.points(row['mde']).lstrip('+')} would have been found.",
            f"未见差异：差值在 {bounds} 之间；若有 {t.points(row['mde']).lstrip('+')} 的差异应能发现。",
        )
    better = row["difference"] > 0
    return t(
        f"{'Better' if better else 'Worse'}: {t.points(row['difference'])} (95 %: {bounds}), {p_text(t, row['p_value'])}.",
        f"{'更好' if better else '更差'}：{t.points(row['difference'])}（95% 区间 {bounds}），{p_text(t, row['p_value'])}。",
    )


def campaign_verdict(t: Language, row: Mapping[str, Any]) -> str:
    """What a row of `campaign_results` says of its operation. Taking part is a choice: it shows no cause."""
    people, others = row["participants"], row["compared_users"] or 0
    if not people:
        return t("Nobody took part yet.", "还没有人参与。")
    if not row["whole"]:
        return t("Not over. So far: ", "尚未结束。目前：") + _campaign(t, row, people, others)
    return _campaign(t, row, people, others)


def _campaign(t: Language, row: Mapping[str, Any], people: int, others: int) -> str:
    if min(people, others) < ENOUGH or row["conversion"] is None or row["compared_conversion"] is None:
        fewest = t.number(min(people, others))
        return t(f"Too few users to compare ({fewest}).", f"样本太少，无法比较（{fewest} 人）。")
    p, q = float(row["conversion"]), float(row["compared_conversion"])
    against = (
        t("those who took no part", "未参与者")
        if row["comparison"] == "others"
        else t("the days before", "活动前同样天数")
    )
    if row["p_value"] is None or row["p_value"] >= SURE:
        said = t(f"Bought no more than {against}: a difference within chance.", f"购买率与{against}无显著差异。")
    else:
        said = t(
            f"{t.percent(p)} bought, against {t.percent(q)} of {against}.",
            f"购买率 {t.percent(p)}，{against}为 {t.percent(q)}。",
        )
    roi = row["roi"]
    if roi is not None:
        said += t(
            f" Extra revenue {t.money(row['extra_revenue'])} for a cost of {t.money(row['cost'])}: return {t.change(float(roi))}.",
            f"增量收入 {t.money(row['extra_revenue'])}，成本 {t.money(row['cost'])}，回报 {t.change(float(roi))}。",
        )
    return said
