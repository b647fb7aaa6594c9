"""A metric as its file says it: `sql/metrics/NAME.sql`, a comment in a fixed form and one SELECT.

    -- title: Daily active users
    -- group: activity
    -- definition: ...                     a longer text goes on in lines that begin with two spaces more
    -- formula: ...
    -- grain: one row a day
    -- parameters:
    --   from Date = today - 29: first day, inclusive
    --   period String = day (one of day, week, month): length of a period
    -- example: SELECT * FROM ...
    -- mistakes: ...
    -- chart: line x=day y=users series=platform
    SELECT ...

Its texts are in English; what they are in other languages stands in the tables of `render/languages`, under `metric|`.

Pure: text in, `Metric` out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal, get_args

#: Groups in the order in which they are shown, with their names.
GROUPS: Final = {
    "activity": "Activity",
    "acquisition": "Acquisition",
    "activation": "Activation",
    "retention": "Retention",
    "conversion": "Conversion",
    "paths": "Paths",
    "revenue": "Revenue",
    "segments": "Segments",
    "campaigns": "Campaigns",
    "experiments": "Experiments",
    "satisfaction": "Satisfaction",
    "content": "Content",
}

ChartKind = Literal["line", "bar", "funnel", "heatmap", "table"]
_TEXTS: Final = ("title", "group", "definition", "formula", "grain", "example", "mistakes")
_FIELDS: Final = (*_TEXTS, "parameters", "chart")
_PARAMETER: Final = re.compile(
    r"(?P<name>[a-z][a-z0-9_]*) (?P<type>[A-Za-z0-9]+(?:\([A-Za-z0-9, ()]*\))?) = (?P<default>[^:(]+?)"
    r"(?: \(one of (?P<choices>[^)]*)\))?: (?P<meaning>.+)"
)
#: ClickHouse's substitution in a query: `{name:Type}`.
SUBSTITUTION: Final = re.compile(r"\{([a-z][a-z0-9_]*):([A-Za-z0-9(), ]+)\}")


class MetricFileError(Exception):
    """A metric file that is not in the form above: a mistake of whoever wrote it."""


@dataclass(frozen=True)
class Parameter:
    """A parameter of a metric. `default` is in words (see `pipeline.metrics.arguments`)."""

    name: str
    type: str
    default: str
    meaning: str
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class MetricChart:
    """How the metric is drawn: columns of its result. `y` may be several, `series` parts the rows."""

    kind: ChartKind
    x: str = ""
    y: tuple[str, ...] = ()
    series: str = ""


@dataclass(frozen=True)
class Metric:
    """One metric. `sql` is the SELECT as in the file; `{database}` in it stands for the database."""

    name: str
    group: str
    title: str
    definition: str
    formula: str
    grain: str
    parameters: tuple[Parameter, ...]
    example: str
    mistakes: str
    chart: MetricChart
    sql: str

    @property
    def texts(self) -> list[str]:
        """Everything that people read of it, once each."""
        meanings = (parameter.meaning for parameter in self.parameters)
        return list(dict.fromkeys((self.title, self.definition, self.formula, self.grain, *meanings, self.mistakes)))


def parse_metric(name: str, text: str) -> Metric:
    """Read a metric file. Raises MetricFileError that says what is wrong with it."""
    lines = text.splitlines()
    head = 0
    while head < len(lines) and lines[head].startswith("--"):
        head += 1
    fields = _fields(name, lines[:head])
    sql = "\n".join(lines[head:]).strip()
    if not sql.upper().startswith(("SELECT", "WITH")) or ";" in sql:
        raise MetricFileError(f"{name}: after the comment comes one SELECT, without a semicolon")
    texts = {field: " ".join(fields.get(field, [])) for field in _TEXTS}
    if empty := [field for field, value in texts.items() if not value]:
        raise MetricFileError(f"{name}: nothing is said under {', '.join(empty)}")
    if texts["group"] not in GROUPS:
        raise MetricFileError(f"{name}: there is no group {texts['group']!r}")
    parameters = tuple(_parameter(name, line) for line in fields.get("parameters", []))
    named = {parameter.name: parameter.type for parameter in parameters}
    used = dict(SUBSTITUTION.findall(sql))
    if named != used:
        raise MetricFileError(f"{name}: the comment names the parameters {named}, the SELECT uses {used}")
    return Metric(name=name, parameters=parameters, chart=_chart(name, fields.get("chart", [])), sql=sql, **texts)


def _fields(name: str, comment: list[str]) -> dict[str, list[str]]:
    """Field to its lines."""
    found: dict[str, list[str]] = {}
    current = ""
    for line in comment:
        body = line[2:]
        if body.startswith("   ") and current:
            text = body.strip()
            if current == "parameters" and body.startswith("     ") and found[current]:
                found[current][-1] += " " + text
            else:
                found[current].append(text)
            continue
        current, colon, rest = body.strip().partition(":")
        if not colon or current not in _FIELDS or current in found:
            raise MetricFileError(f"{name}: the comment has {line!r}; its fields are, once each: {', '.join(_FIELDS)}")
        found[current] = [rest.strip()] if rest.strip() else []
    return found


def _parameter(name: str, line: str) -> Parameter:
    match = _PARAMETER.fullmatch(line)
    if match is None:
        raise MetricFileError(f"{name}: a parameter is written `name Type = default: meaning`, not {line!r}")
    choices = tuple(choice.strip() for choice in (match["choices"] or "").split(",") if choice.strip())
    return Parameter(match["name"], match["type"], match["default"], match["meaning"], choices)


def _chart(name: str, lines: list[str]) -> MetricChart:
    kind, *rest = " ".join(lines).split() or [""]
    pairs = dict(part.partition("=")[::2] for part in rest)
    if kind not in get_args(ChartKind) or not set(pairs) <= {"x", "y", "series"}:
        raise MetricFileError(f"{name}: a chart is written `line x=column y=column,column series=column`")
    y = tuple(filter(None, pairs.get("y", "").split(",")))
    return MetricChart(kind, pairs.get("x", ""), y, pairs.get("series", ""))  # type: ignore[arg-type]
