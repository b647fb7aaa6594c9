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
        return t("met more than one variant: in none of them")
    if control is None:
        return t("no control to compare with")
    if row["variant"] == control["variant"]:
        return t("the others are compared with it")
    if mismatch:
        return t("Not to be trusted: users were not split as planned. Find the reason first.")
    fewest = min(row["users"], control["users"])
    if fewest < ENOUGH_OF_VARIANT or row["difference"] is None or row["p_value"] is None or row["too_few"]:
        return t("Too few users to say ({fewest}).", fewest=t.number(fewest))
    bounds = interval(t, row["difference_low"], row["difference_high"])
    if row["p_value"] >= SURE:
        return t(
            "No difference shown: it lies within {bounds}. One of {least} would have been found.",
            bounds=bounds,
            least=t.points(row["mde"]).lstrip("+"),
        )
    better = row["difference"] > 0
    return t(
        "Better: {points} (95 %: {bounds}), {p}." if better else "Worse: {points} (95 %: {bounds}), {p}.",
        points=t.points(row["difference"]),
        bounds=bounds,
        p=p_text(t, row["p_value"]),
    )


def campaign_verdict(t: Language, row: Mapping[str, Any]) -> str:
    """What a row of `campaign_results` says of its operation. Taking part is a choice: it shows no cause."""
    people, others = row["participants"], row["compared_users"] or 0
    if not people:
        return t("Nobody took part yet.")
    if not row["whole"]:
        return t("Not over. So far: ") + _campaign(t, row, people, others)
    return _campaign(t, row, people, others)


def _campaign(t: Language, row: Mapping[str, Any], people: int, others: int) -> str:
    if min(people, others) < ENOUGH or row["conversion"] is None or row["compared_conversion"] is None:
        fewest = t.number(min(people, others))
        return t("Too few users to compare ({fewest}).", fewest=fewest)
    p, q = float(row["conversion"]), float(row["compared_conversion"])
    against = t("those who took no part") if row["comparison"] == "others" else t("the days before")
    if row["p_value"] is None or row["p_value"] >= SURE:
        said = t("Bought no more than {against}: a difference within chance.", against=against)
    else:
        said = t("{p} bought, against {q} of {against}.", p=t.percent(p), q=t.percent(q), against=against)
    roi = row["roi"]
    if roi is not None:
        said += t(
            " Extra revenue {revenue} for a cost of {cost}: return {roi}.",
            revenue=t.money(row["extra_revenue"]),
            cost=t.money(row["cost"]),
            roi=t.change(float(roi)),
        )
    return said


def campaign_change(t: Language, row: Mapping[str, Any]) -> str:
    """What a row of `campaign_compare` says: of those who took part, did more buy than of the one before?"""
    people, others = row["participants"], row["before_participants"]
    if not people:
        return t("Nobody took part yet.")
    if min(people, others) < ENOUGH:
        return t("Too few users to compare ({fewest}).", fewest=t.number(min(people, others)))
    # Without a test as many bought: all of them, or nobody.
    p = 1.0 if row["p_value"] is None else float(row["p_value"])
    if p >= SURE:
        return t("Bought as before: a difference within chance ({p}).", p=p_text(t, p))
    difference = row["conversion"] - row["before_conversion"]
    return t(
        "More of them bought: {points}, {p}." if difference > 0 else "Fewer of them bought: {points}, {p}.",
        points=t.points(difference),
        p=p_text(t, p),
    )
