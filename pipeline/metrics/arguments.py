"""The values of a metric's parameters: what was given, as text or values, and defaults for the rest.

A default is written in words:

    today, today - 29      a day of the plan's time zone
    before from            the first day of the period before, as long as from to to
    before to              its last day: the day before from
    funnel steps           the event names of the plan's first funnel
    funnel window          its window in seconds
    first step, second step, last step   an event of it
    '', 7, 0.5, [1, 3, 7]  a text (without quotes too), a number, a list

Pure: "today" comes from the caller.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from typing import Any

from pipeline.errors import UserError
from pipeline.metrics.metric import Metric, Parameter
from schemas.plan import Funnel, Plan, check_field

#: Steps that the funnel metrics take.
MAX_STEPS = 8
_FUNNEL_WORDS = ("funnel steps", "funnel window", "first step", "second step", "last step")
_TODAY = re.compile(r"today(?: - (\d+))?")
_INTEGER = re.compile(r"(U?)Int(8|16|32|64)")


def arguments_for(metric: Metric, given: Mapping[str, Any], plan: Plan, today: date) -> dict[str, Any]:
    """Every parameter's value, in the order of the metric. `given` may hold text as a person types it.

    Raises UserError, in one line, for an unknown parameter, a value that is none of its type, and days in the
    wrong order.
    """
    names = [parameter.name for parameter in metric.parameters]
    for name in given:
        if name not in names:
            raise _no_parameter(metric, name, names)
    out: dict[str, Any] = {}
    for parameter in metric.parameters:
        if parameter.name in given:
            out[parameter.name] = _value(metric, parameter, given[parameter.name])
        else:
            out[parameter.name] = _default(metric, parameter, out, plan, today)
    for first, last in (("from", "to"), ("compare_from", "compare_to")):
        if first in out and last in out and out[first] > out[last]:
            raise UserError(
                "{metric}: {first} ({first_day}) is later than {last} ({last_day})",
                metric=metric.name, first=first, first_day=out[first], last=last, last_day=out[last],
            )  # fmt: skip
    if len(out.get("steps", ())) > MAX_STEPS:
        raise UserError("{metric} takes at most {most} steps", metric=metric.name, most=MAX_STEPS)
    if out.get("dimension"):
        _check_dimension(out["dimension"])
    return out


def no_metric(name: str, names: Iterable[str]) -> UserError:
    """The error for a metric that there is not."""
    if close := _similar(name, list(names)):
        return UserError(
            "there is no metric {name}: did you mean {close}?; `streamgauge metrics list` shows all",
            name=name,
            close=close,
        )
    return UserError("there is no metric {name}; `streamgauge metrics list` shows all", name=name)


def _no_parameter(metric: Metric, name: str, names: list[str]) -> UserError:
    if not names:
        return UserError("{metric} has no parameter {name}; it has none", metric=metric.name, name=name)
    said = {"metric": metric.name, "name": name, "names": ", ".join(names)}
    if close := _similar(name, names):
        return UserError("{metric} has no parameter {name}: did you mean {close}?; it has {names}", close=close, **said)
    return UserError("{metric} has no parameter {name}; it has {names}", **said)


def _similar(name: str, names: list[str]) -> str:
    return " / ".join(difflib.get_close_matches(name, names, n=3, cutoff=0.6))


def _check_dimension(dimension: str) -> None:
    try:
        check_field(dimension, "dimension")
    except ValueError as exc:
        raise UserError.of(exc) from None


def _default(metric: Metric, parameter: Parameter, before: Mapping[str, Any], plan: Plan, today: date) -> Any:
    words = parameter.default
    if match := _TODAY.fullmatch(words):
        return today - timedelta(days=int(match[1] or 0))
    if words == "before from":
        return before["from"] - (before["to"] - before["from"]) - timedelta(days=1)
    if words == "before to":
        return before["from"] - timedelta(days=1)
    if words in _FUNNEL_WORDS:
        if not plan.funnels:
            raise UserError(
                "the plan has no funnel: give {metric} its {parameter}", metric=metric.name, parameter=parameter.name
            )
        return _of_funnel(next(iter(plan.funnels.values())), words)
    return _value(metric, parameter, words.strip("'"))


def _of_funnel(funnel: Funnel, words: str) -> Any:
    steps = [step.event for step in funnel.steps]
    if words == "funnel window":
        return funnel.window // 1000
    if words == "funnel steps":
        return steps[:MAX_STEPS]
    return {"first step": steps[0], "second step": steps[min(1, len(steps) - 1)], "last step": steps[-1]}[words]


def _value(metric: Metric, parameter: Parameter, given: Any) -> Any:
    said = {"metric": metric.name, "parameter": parameter.name, "given": repr(given)}

    kind = parameter.type
    if kind.startswith("Array(") and kind.endswith(")"):
        items = _items(given) if isinstance(given, str) else given
        inner = Parameter(parameter.name, kind[6:-1], parameter.default, parameter.meaning)
        return [_value(metric, inner, item) for item in items]
    if kind == "Date":
        return _date(given, UserError("{metric}: {parameter} is a day like 2026-11-30, not {given}", **said))
    if match := _INTEGER.fullmatch(kind):
        try:
            number = int(given)
        except (TypeError, ValueError):
            raise UserError("{metric}: {parameter} is a whole number, not {given}", **said) from None
        if (match[1] and number < 0) or abs(number) >= 1 << (int(match[2]) - (not match[1])):
            raise UserError("{metric}: {parameter} is a whole number that fits {type}, not {given}", type=kind, **said)
        return number
    if kind in ("Float64", "Float32"):
        try:
            return float(given)
        except (TypeError, ValueError):
            raise UserError("{metric}: {parameter} is a number, not {given}", **said) from None
    text = str(given)
    if parameter.choices and text not in parameter.choices:
        known = ", ".join(parameter.choices)
        raise UserError("{metric}: {parameter} is one of {known}, not {given}", known=known, **said)
    return text


def last_day(arguments: Mapping[str, Any]) -> date | None:
    """The last day that a metric looks at, from which a segment is seen; None for a metric without days."""
    return next((arguments[name] for name in ("until", "to", "on") if isinstance(arguments.get(name), date)), None)


def written(value: Any) -> str:
    """A value as text that `arguments_for` reads as the same: in forms and addresses."""
    if not isinstance(value, list | tuple):
        return str(value)
    plain = ", ".join(map(str, value))
    return plain if _items(plain) == [str(item) for item in value] else json.dumps(value, ensure_ascii=False)


def _items(text: str) -> list[Any]:
    """`a, b` or `['a', 'b']`; in JSON, `["a, b", "c"]`, an item may hold anything."""
    if text.lstrip().startswith("["):
        try:
            found = json.loads(text)
        except ValueError:
            found = None
        if isinstance(found, list):
            return found
    return [item.strip().strip("'\"") for item in text.strip().strip("[]").split(",") if item.strip()]


def _date(given: Any, wrong: UserError) -> date:
    if isinstance(given, date):
        return given
    try:
        day = date.fromisoformat(str(given))
    except ValueError:
        raise wrong from None
    if not 1971 <= day.year <= 2148:  # what ClickHouse's Date holds, with room for a year before and after
        raise wrong
    return day
