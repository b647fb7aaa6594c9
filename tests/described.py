"""Charts of a page read back from their descriptions: what the browser is told to draw."""

from __future__ import annotations

import json
import re
from typing import Any


def descriptions(html: str) -> list[dict[str, Any]]:
    """What each chart of a piece of HTML brings: spec, names, links."""
    return [
        json.loads(found) for found in re.findall(r'<script type="application/json">(.*?)</script>', str(html), re.S)
    ]


def parameter(spec: dict[str, Any], name: str) -> Any:
    """A parameter's value."""
    return next(found["value"] for found in spec["params"] if found["name"] == name)


def said(html: str) -> dict[str, dict[str, str]]:
    """The words of the first line chart: by the line's name (empty for a single one) and the place."""
    chart = descriptions(html)[0]
    places, names = parameter(chart["spec"], "places"), chart["names"]
    found: dict[str, dict[str, str]] = {}
    for row in chart["spec"]["data"]["values"]:
        name = names[int(row["s"][1:]) - 1] if len(names) > 1 else ""
        found.setdefault(name, {})[places[row["x"]]] = row["said"]
    return found
