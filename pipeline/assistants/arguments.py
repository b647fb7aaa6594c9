"""What the tools take: models whose JSON Schema an assistant reads, and whose mistakes are one line each.

Bounds are those of `pipeline.explore`: what doesn't fit is refused, nothing is left out unsaid.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from pipeline.errors import UserError
from pipeline.explore.address import MAX_EXCLUDED, MAX_OWN_RULES
from pipeline.explore.filters import MAX_VALUES
from pipeline.explore.given import ALSO
from pipeline.explore.people import LISTED
from pipeline.explore.question import (
    MAX_BY,
    MAX_CONDITIONS,
    MAX_FILTERS,
    MAX_FORMULAS,
    MAX_SERIES,
    MAX_STEPS,
    Compare,
    Grain,
    Measure,
    Order,
)
from schemas.names import shown

#: Rows of an answer: so many unless more are asked for, and never more.
ROWS, MOST_ROWS = 200, 10_000
#: Values and parameters of a question.
_MAX_TEXT, _MAX_ADDRESS, _MAX_PARAMETERS = 2_000, 20_000, 50

Text = Annotated[str, StringConstraints(max_length=_MAX_TEXT)]
Scalar = Text | bool | int | float
Groups = Literal[
    "activity", "acquisition", "activation", "retention", "conversion", "paths", "revenue", "segments", "campaigns",
    "experiments", "satisfaction", "content",
]  # fmt: skip
Operator = Literal["is", "is_not", "contains", "excludes", "gt", "gte", "lt", "lte", "set", "unset"]
Kind = Literal["trend", "funnel", "retention", "distribution", "lifecycle", "paths"]
PartOfPlan = Literal["all", "events", "funnels", "meanings", "segments"]


class Arguments(BaseModel):
    """Arguments of a tool: nothing else may be given."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class ListMetrics(Arguments):
    """Arguments of `list_metrics`."""

    group: Groups | None = Field(None, description="Only the metrics of this group.")
    search: Text = Field(
        "",
        description="Only metrics that have all these words in their name, titles or definition, in English or Chinese.",
    )


class DescribeMetric(Arguments):
    """Arguments of `describe_metric`."""

    name: Text = Field(description="The metric's name, as list_metrics has it.")


class FilterArgument(Arguments):
    """A condition on events."""

    field: Text = Field(
        description="A field of the envelope (event, source, platform, app_version, channel, campaign, country, …), "
        "properties.NAME, or user.NAME for an attribute of the person."
    )
    operator: Operator = "is"
    values: list[Scalar] = Field(
        default_factory=list,
        max_length=MAX_VALUES,
        description="Alternatives; one number for gt, gte, lt, lte; none for set, unset.",
    )


class EventsArgument(Arguments):
    """Events of one of these names, with all these conditions."""

    events: list[Text] = Field(
        default_factory=list,
        max_length=len(ALSO),
        description="Names of the plan's events that count as one; none: any event.",
    )
    where: list[FilterArgument] = Field(default_factory=list, max_length=MAX_CONDITIONS)


class SeriesArgument(EventsArgument):
    """What a line of a trend counts."""

    measure: Measure = Field(
        "people",
        description="people: distinct persons. count: events. sum, average, median, p90, p95, p99: of `property`.",
    )
    property: Text = Field("", description="Of sum, average and so on: properties.NAME, or value (the plan's amount).")


class RuleArgument(Arguments):
    """A rule of a segment made for this question."""

    rule: Literal["did", "did_not", "has"] = Field(description="has: the person has an attribute, given in `where`.")
    event: Text = Field("", description="Of did and did_not: the event; empty for any.")
    where: FilterArgument | None = None
    compared: Literal["gte", "is", "lte"] = Field("gte", description="Of did: at least, exactly or at most `times`.")
    times: int = Field(1, ge=0, le=1_000_000)
    days: int = Field(0, ge=0, le=3660, description="Within the last so many days of the period; 0: ever.")


class Filtered(Arguments):
    """Of which events and of which people."""

    filters: list[FilterArgument] = Field(
        default_factory=list, max_length=MAX_FILTERS, description="Only events that fulfil all of these."
    )
    segment: Text = Field(
        "", description="Only people of a segment of the plan: in:NAME, or out:NAME for everybody else."
    )
    segment_rules: list[RuleArgument] = Field(
        default_factory=list, max_length=MAX_OWN_RULES, description="Or of a segment made here, instead of `segment`."
    )
    segment_any: bool = Field(False, description="Any of the rules is enough; else every one must hold.")


class RunMetric(Filtered):
    """Arguments of `run_metric`."""

    name: Text = Field(description="The metric's name, as list_metrics has it.")
    parameters: dict[Text, Scalar | list[Scalar]] = Field(
        default_factory=dict, max_length=_MAX_PARAMETERS,
        description="The metric's parameters (describe_metric lists them), such as "
        '{"from": "2026-11-01", "to": "2026-11-30"}. Those left out have their defaults.',
    )  # fmt: skip
    rows: int = Field(ROWS, ge=1, le=MOST_ROWS, description="At most so many rows.")


class QuestionArgument(Filtered):
    """A question of Explore: as its address, or as what it is made of."""

    address: Annotated[str, StringConstraints(max_length=_MAX_ADDRESS)] = Field(
        "", description="The address of a question in the dashboard (what follows /explore?), instead of all the rest."
    )
    kind: Kind | None = Field(None, description="The kind of question, where no address is given.")
    first_day: Text = Field("", description="First day, such as 2026-11-01, in the plan's time zone, inclusive.")
    last_day: Text = Field("", description="Last day, inclusive. Today is not over.")
    grain: Grain | None = Field(None, description="Of trend, retention, lifecycle (not by hour). Default: day.")
    sunday: bool = Field(False, description="Weeks begin on Sunday instead of Monday.")
    series: list[SeriesArgument] = Field(
        default_factory=list, max_length=MAX_SERIES, description="Of trend: the lines A, B, C, … in this order."
    )
    formulas: list[Text] = Field(
        default_factory=list,
        max_length=MAX_FORMULAS,
        description="Of trend: such as `A / B`, or `A / B %` for a share.",
    )
    by: list[Text] = Field(
        default_factory=list, max_length=MAX_BY, description="Broken down by fields: trend by up to 2, funnel by 1."
    )
    compare: Compare = Field(
        "", description="Of trend and funnel: with the days before, the same days a week or year ago, or a segment."
    )
    compare_segment: Text = Field("", description="Of compare = segment: in:NAME or out:NAME of the plan.")
    funnel: Text = Field("", description="Of funnel: one of the plan's, by name, instead of steps.")
    steps: list[EventsArgument] = Field(
        default_factory=list, max_length=MAX_STEPS, description="Of funnel: two steps at least, in order."
    )
    exclude: list[EventsArgument] = Field(
        default_factory=list, max_length=MAX_EXCLUDED, description="Of funnel: events that may not come between."
    )
    window: Text = Field("", description="Of funnel: the time for all steps, such as 1h, 1d, 7d. Default: 1d.")
    order: Order | None = Field(
        None, description="Of funnel. ordered (default); any: whichever came first; strict: nothing may come between."
    )
    per_session: bool = Field(False, description="Of funnel: within one session, counted by session.")
    start: EventsArgument | None = Field(
        None, description="Of retention: what people did first. Default: the registration."
    )
    back: EventsArgument | None = Field(None, description="Of retention: what they came back for. Default: any event.")
    every_time: bool = Field(
        False, description="Of retention: people are in the cohort of every period in which they did `start`, "
        "not only of the first one ever."
    )  # fmt: skip
    of_events: EventsArgument | None = Field(
        None, description="Of distribution and lifecycle: the events. Default: any event."
    )
    of: Literal["times", "days", "sum"] | None = Field(
        None, description="Of distribution: how often, on how many days, or the sum of `property` for each person."
    )
    property: Text = Field("", description="Of distribution by sum: properties.NAME, or value.")
    away: int | None = Field(None, ge=1, le=365, description="Of lifecycle: periods without an event until dormant.")
    way: Literal["from", "to"] | None = Field(None, description="Of paths: from an event on, or up to it.")
    event: Text = Field("", description="Of paths: the event; of way = from empty for the begin of the session.")
    depth: int | None = Field(None, ge=1, le=5, description="Of paths: how many events.")


class AskQuestion(QuestionArgument):
    """Arguments of `ask_question`."""

    rows: int = Field(ROWS, ge=1, le=MOST_ROWS, description="At most so many rows.")


class PeopleBehind(QuestionArgument):
    """Arguments of `people_behind`: a question, and one number of its answer."""

    n: int = Field(
        0, ge=-1, le=400,
        description="Which number. trend: the series, from 0. funnel: the step, from 0. retention: the period, -1 for "
        "the whole cohort. lifecycle: 0 new, 1 returning, 2 resurrected, 3 dormant.",
    )  # fmt: skip
    at: Text = Field("", description="The row's `at`, as the answer of ask_question has it; empty for all together.")
    values: list[Text] = Field(
        default_factory=list, max_length=MAX_BY, description="The row's values of the breakdown, in the order of `by`."
    )
    lost: bool = Field(False, description="Of funnel: those who took the step before and not this one.")
    rows: int = Field(50, ge=1, le=LISTED, description="At most so many people, those seen lately first.")


class DescribePlan(Arguments):
    """Arguments of `describe_plan`."""

    part: PartOfPlan = Field("all", description="Only this part.")


A = TypeVar("A", bound=Arguments)
#: Words of Pydantic's that say less than ours.
_WORDS: Final = {"extra_forbidden": "is no argument of this tool", "missing": "is missing"}


def read(model: type[A], given: dict[str, Any] | None) -> A:
    """The arguments of a call; raises UserError, one line, for the first mistake in them."""
    try:
        return model.model_validate(given or {})
    except ValidationError as exc:
        error = exc.errors(include_url=False, include_context=False)[0]
        where = ".".join(str(part) for part in error["loc"] if not str(part).startswith(("constrained-", "list[")))
        found = "" if error["type"] in _WORDS else f" (found {shown(str(error['input'])[:100])})"
        said = _WORDS.get(error["type"]) or f": {error['msg'][:1].lower()}{error['msg'][1:]}"
        more = f"; it takes {', '.join(model.model_fields)}" if error["type"] == "extra_forbidden" else ""
        name = where if where.isascii() and where.isprintable() and len(where) < 100 else shown(where)
        raise UserError(f"{name}{said if said.startswith(':') else f' {said}'}{found}{more}") from None
