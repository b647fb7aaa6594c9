"""Columns of metrics as people read them, and how their numbers are written."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final, Literal

#: The last word of columns that are shares, and whole names that are.
SHARE_WORDS: Final = frozenset({"rate", "share", "penetration", "stickiness", "conversion", "ctr"})
SHARE_NAMES: Final = frozenset(
    {
        "difference",
        "difference_low",
        "difference_high",
        "mde",
        "from_first",
        "from_previous",
        "compare_from_previous",
        "share_seen",
        "change",
    }
)
#: The last word of columns that are amounts.
MONEY_WORDS: Final = frozenset(
    {
        "amount",
        "revenue",
        "gmv",
        "spend",
        "cost",
        "ltv",
        "arpu",
        "arppu",
        "cac",
        "ecpm",
        "cpc",
        "cpm",
        "refunds",
        "discount",
        "monetary_value",
    }
)
MONEY_NAMES: Final = frozenset(
    {"average_order", "mean_value", "value_difference", "value_difference_low", "value_difference_high", "revenue_per_user",
     "compared_revenue_per_user", "before_revenue_per_user", "cost_per_buyer", "cost_per_registration"}
)  # fmt: skip

Unit = Literal["share", "milliseconds", "seconds", "money", "count", "number"]


def unit_of(name: str, sample: Any = None) -> Unit:
    """What the numbers of a column are; `sample` is one of them. A share is 0.25 for a quarter."""
    last = name.split("_")[-1]
    if name in SHARE_NAMES or (last in SHARE_WORDS and not isinstance(sample, int)):
        return "share"
    if last == "ms":
        return "milliseconds"
    if last in ("seconds", "s"):
        return "seconds"
    if isinstance(sample, Decimal) or last in MONEY_WORDS or name in MONEY_NAMES:
        return "money"
    return "count" if isinstance(sample, int) else "number"
