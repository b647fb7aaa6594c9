"""Days of a kept view: those that end today or yesterday move on with the days, others stay what they are. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any, Final

#: A view that ended so many days ago at most is one of "the last days".
_RECENT: Final = 1


def moving(address: Mapping[str, str], today: date) -> dict[str, Any]:
    """The address with days that move on, as the fields of a kept chart: `address`, `days`, `ago`."""
    try:
        first, last = date.fromisoformat(address.get("from", "")), date.fromisoformat(address.get("to", ""))
    except ValueError:
        return {"address": dict(address)}
    ago, days = (today - last).days, (last - first).days + 1
    if not 0 <= ago <= _RECENT or not 1 <= days <= 366:
        return {"address": dict(address)}
    rest = {name: value for name, value in address.items() if name not in ("from", "to")}
    return {"address": rest, "days": days, "ago": ago}
