"""Fact views: the plan's meanings as views over `events`, with the same columns whatever the product names its events.

Users are persons: the column `person` of `events` says whose an event is, `actor` as whom it was sent.

`activity` is every event with its local day; `payments`, `invites` and so on are the events that the plan gives that
meaning, with the columns that its fields fill. A meaning that the plan leaves out is an empty view. Late events are in
them: they happened. Further facts that need no plan are in `sql/facts`.

Only builds text; names and values of the plan are quoted here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

from pipeline.queries.conditions import quoted, step_sql, text_sql
from schemas.duration import DAY
from schemas.event import CONTEXT_FIELDS
from schemas.meanings import Item, Meaning
from schemas.plan import Plan, Step

#: Kinds of columns, and what a column is whose meaning names no field.
_TEXT, _MONEY, _NUMBER = "''", "toDecimal64(0, 6)", "CAST(NULL, 'Nullable(Float64)')"


@dataclass(frozen=True)
class View:
    """A view to install: its name, what it is (the comment), its SELECT."""

    name: str
    comment: str
    sql: str


@dataclass(frozen=True)
class _Fact:
    """A fact of one meaning: its view, and its own columns with their defaults."""

    view: str
    meaning: str
    comment: str
    columns: dict[str, str]


_FACTS: Final = (
    _Fact("registrations", "registration", "events that mean a new account", {}),
    _Fact("activations", "activation", "events that mean that a new user found the product's use", {}),
    _Fact("payments", "payment", "payments: amount and order", {"amount": "value", "order_id": "event_id"}),
    _Fact("refunds", "refund", "refunds: the amount is negative", {"amount": "value", "order_id": "event_id"}),
    _Fact("ad_impressions", "ad_impression", "ads shown, and what each earned", {"revenue": _MONEY, "ad": _TEXT}),
    _Fact("ad_clicks", "ad_click", "ads clicked", {"ad": _TEXT}),
    _Fact("coupons", "coupon", "coupons used", {"code": _TEXT, "discount": _MONEY}),
    _Fact("shares", "share", "things shared", {"item": _TEXT, "target": _TEXT}),
    _Fact("invites", "invite", "invitations sent by the person", {"invite_id": _TEXT}),
    _Fact("invites_accepted", "invite_accepted", "the person came by it", {"invite_id": _TEXT, "inviter": _TEXT}),
    _Fact("surveys_shown", "survey_shown", "surveys put before the person", {"survey": _TEXT}),
    _Fact("survey_answers", "survey", "answers to surveys", {"survey": _TEXT, "score": _NUMBER}),
    _Fact(
        "exposures",
        "exposure",
        "variants of experiments met; an event that names no experiment or no variant is none",
        {"experiment": _TEXT, "variant": _TEXT},
    ),
    _Fact("participations", "participation", "the person took part in an operation", {"participated": _TEXT}),
)
#: Facts that metrics ask for together: name, comment, columns, and the fact of each `kind`.
_TOGETHER: Final[tuple[tuple[str, str, tuple[str, ...], dict[str, str]], ...]] = (
    (
        "money",
        "payments and refunds together: amount is negative in refunds, kind says which",
        ("amount", "order_id"),
        {"payment": "payments", "refund": "refunds"},
    ),
    (
        "milestones",
        "registrations, activations, payments and refunds together: kind says which, amount is that of money",
        ("amount",),
        {"registration": "registrations", "activation": "activations", "payment": "payments", "refund": "refunds"},
    ),
)
#: Column of the view to field of the meaning, where they differ (`campaign` is a column of every event).
_RENAMED: Final = {"participated": "campaign"}
#: Columns without which an event doesn't say what it is of: an exposure without a variant is none.
_NAMED: Final = {"coupon": ("code",), "exposure": ("experiment", "variant")}
_CONTENT: Final = ("view", "complete", "like", "comment", "share", "create")


def owners(*, aliases: bool) -> View:
    """Whose an id is. Where there are aliases more than one link leads from an id to its person."""
    sql = (files("sql") / "owners" / ("with_aliases.sql" if aliases else "of_devices.sql")).read_text("utf-8")
    return View("owners", "whose a device ($device: and its id) or an old user id is", sql.strip())


def facts(plan: Plan) -> list[View]:
    """All fact views, in an order in which each can be made."""
    zone = quoted(plan.timezone)
    activity = f"SELECT *, toDate(ts, {zone}) AS day, toDateTime(ts, {zone}) AS local_time FROM events"
    views = [View("activity", "every event, late ones too, with its day in the time zone of the plan", activity)]
    views += [_of_meaning(plan, fact) for fact in _FACTS]
    views.append(_by_dimension())
    by_dimension = "{database}.activity_by(dimension = {dimension:String})"
    payments = next(fact for fact in _FACTS if fact.view == "payments")
    views.append(View("payments_by", "payments with the column by", _of_meaning(plan, payments, by_dimension).sql))
    views += [_together(plan, *each) for each in _TOGETHER]
    views += _users(plan)
    views += _onboarding(plan)
    views += [_content(plan), _content_made(plan)]
    views.append(_thresholds(plan))
    return views + _written()


def registrations(plan: Plan) -> tuple[Meaning, ...]:
    """The events that mean a new account; none where everybody joins with their first event."""
    named = plan.meanings.registration
    return named or ((Meaning(event=plan.registration),) if plan.registration else ())


def _meanings(plan: Plan, fact: _Fact) -> Sequence[Meaning]:
    if fact.meaning == "registration":
        return registrations(plan)
    found: Sequence[Meaning] = getattr(plan.meanings, fact.meaning)
    return found


def _of_meaning(plan: Plan, fact: _Fact, source: str = "activity") -> View:
    meanings = _meanings(plan, fact)
    columns = [f"{_column(plan, fact, name, meanings)} AS {name}" for name in fact.columns]
    conditions = _any(meanings)
    if named := _NAMED.get(fact.meaning) if meanings else None:
        conditions = " AND ".join([f"({conditions})", *(f"match({column}, '\\\\S')" for column in named)])
    return View(fact.view, fact.comment, f"SELECT {', '.join(['*', *columns])} FROM {source} WHERE {conditions}")


def money_sql(plan: Plan, source: str) -> str:
    """The fact `money` of the events that follow FROM in `source`, which has the columns of `activity`."""
    return _together(plan, *_TOGETHER[0], source=source).sql


def _together(
    plan: Plan, view: str, comment: str, columns: Sequence[str], names: dict[str, str], source: str = "activity"
) -> View:
    """Several facts in one pass over the events; an event that is two of them is two rows."""
    by_name = {fact.view: fact for fact in _FACTS}
    found = {kind: (by_name[name], _meanings(plan, by_name[name])) for kind, name in names.items()}
    kinds = ", ".join(f"if({_any(meanings)}, {quoted(kind)}, '')" for kind, (_, meanings) in found.items())
    parts = [f"arrayJoin(arrayFilter(k -> k != '', [{kinds}])) AS kind"]
    for column in columns:
        of_kind = [
            (kind, _column(plan, fact, column, meanings))
            for kind, (fact, meanings) in found.items() if column in fact.columns
        ]  # fmt: skip
        otherwise = _MONEY if len(of_kind) < len(found) else of_kind.pop()[1]
        values = [f"kind = {quoted(kind)}, {value}" for kind, value in of_kind]
        parts.append(f"multiIf({', '.join(values)}, {otherwise}) AS {column}")
    anything = _any([meaning for _, meanings in found.values() for meaning in meanings])
    return View(view, comment, f"SELECT *, {', '.join(parts)} FROM {source} WHERE {anything}")


def _column(plan: Plan, fact: _Fact, name: str, meanings: Sequence[Meaning]) -> str:
    """The expression of a column: the field that the first fitting meaning names, else the default."""
    default = fact.columns[name]
    parts = []
    for meaning in meanings:
        field = meaning.fields().get(_RENAMED.get(name, name), "")
        value = _read(plan, meaning, field, default) if field else default
        parts.append((_condition(meaning), value))
    values = {value for _, value in parts}
    if len(values) == 1:
        expression = values.pop()
    elif parts:
        expression = f"multiIf({', '.join(f'{c}, {v}' for c, v in parts)}, {default})"
    else:
        expression = default
    return f"-abs({expression})" if (fact.meaning, name) == ("refund", "amount") else expression


def _read(plan: Plan, meaning: Meaning, field: str, default: str) -> str:
    own = field.removeprefix("properties.")
    if default == _NUMBER:
        kind = f"toString(JSONType(properties, {quoted(own)}))"
        return f"if({kind} IN ('Int64', 'UInt64', 'Double'), JSONExtractFloat(properties, {quoted(own)}), NULL)"
    if default in (_MONEY, "value"):
        spec = plan.events.get(meaning.event)
        if field.startswith("properties.") and spec is not None and spec.value == own:
            return "value"  # the same number, already exact
        # From the text of the number: by way of a float, 19.99 would become 19.989999.
        return f"toDecimal64OrZero(JSONExtractRaw(properties, {quoted(own)}), 6)"
    text = text_sql(field)
    # Orders without the id that the plan names would all be one order.
    return f"if({text} = '', event_id, {text})" if default == "event_id" else text


def _condition(meaning: Meaning | Step) -> str:
    return f"({step_sql(Step(event=meaning.event, where=meaning.where))})"


def _any(meanings: Sequence[Meaning | Step]) -> str:
    if not meanings:
        return "0"
    names = sorted({meaning.event for meaning in meanings})
    # The names first: they are in the sorting key.
    by_name = f"event IN ({', '.join(map(quoted, names))})"
    if not any(meaning.where for meaning in meanings):
        return by_name
    return f"{by_name} AND ({' OR '.join(map(_condition, meanings))})"


def _joined(plan: Plan) -> str:
    """The columns of when a person joined: NULL where they did not.

    Without a registration in the plan everybody joins with the first event; with one, some never do.
    """
    joins = registrations(plan)
    first = f"minOrNullIf({{}}, {_any(joins)})" if joins else "toNullable(min({}))"
    return f"{first.format('ts')} AS joined, {first.format('day')} AS joined_day"


def _users(plan: Plan) -> list[View]:
    touch = ", ".join(f"argMinIf({field}, ts, {field} != '') AS {field}" for field in CONTEXT_FIELDS)
    select = (
        "SELECT person, min(ts) AS first_seen, min(day) AS first_day, max(ts) AS last_seen, max(day) AS last_day, "
        f"{_joined(plan)}, count() AS events, "
        f"arraySort(groupUniqArray(day)) AS active_days, {touch}"
    )
    comment = (
        "one row a person: first and last event, when it joined (registered), the first value of each context field"
    )
    return [
        View("users", comment, f"{select} FROM activity GROUP BY person"),
        View(
            "users_by",
            "users with the column by, the first value of the dimension; active_days of return_event only, if given",
            select.replace(
                "groupUniqArray(day)",
                "groupUniqArrayIf(day, {return_event:String} = '' OR event = {return_event:String})",
            )
            + ", argMinIf(by, ts, by != '') AS by "
            "FROM {database}.activity_by(dimension = {dimension:String}) GROUP BY person",
        ),
    ]


def _onboarding(plan: Plan) -> list[View]:
    steps = plan.meanings.onboarding
    numbers = ", ".join(f"if({_condition(step)}, {i}, 0)" for i, step in enumerate(steps, 1))
    titles = ", ".join(quoted(step.title) for step in steps)
    several = f"arrayFilter(n -> n > 0, [{numbers}])" if steps else "[]::Array(UInt8)"
    first = ", ".join(f"({i}::UInt8, minOrNullIf(ts, {_condition(step)}))" for i, step in enumerate(steps, 1))
    firsts = (
        f"arrayMap(f -> (f.1, assumeNotNull(f.2)), arrayFilter(f -> f.2 IS NOT NULL, [{first}]))"
        if steps else "[]::Array(Tuple(UInt8, DateTime64(3, 'UTC')))"
    )  # fmt: skip
    # Without a registration whichever event is the first one counts.
    joins = registrations(plan)
    names = sorted({one.event for one in joins} | {one.event for one in steps})
    only = f" WHERE event IN ({', '.join(map(quoted, names))})" if joins else ""
    sql = (
        f"SELECT *, arrayJoin({several})::UInt8 AS step, [{titles}]::Array(String)[step] AS step_name "
        f"FROM activity WHERE {_any(steps)}"
    )
    return [
        View(
            "onboarding_steps",
            "the names of the steps of the onboarding checklist, one row",
            f"SELECT [{titles}]::Array(String) AS names",
        ),
        View(
            "onboarding_users",
            "one row a person who joined or did a step of the onboarding checklist: when it did so for the first time",
            f"SELECT person, {_joined(plan)}, {firsts} AS firsts FROM activity{only} GROUP BY person",
        ),
        View("onboarding_events", "events that fulfil a step of the onboarding checklist; one row a step", sql),
    ]


def _content(plan: Plan) -> View:
    """One pass over the events; an event that is several actions is so many rows."""
    done: list[tuple[str, Item]] = [
        (action, meaning) for action in _CONTENT for meaning in getattr(plan.meanings, f"content_{action}")
    ]
    deeds = ", ".join(
        f"if({_any([meaning])}, ({quoted(action)}, {text_sql(meaning.item)}), ('', ''))" for action, meaning in done
    )
    sql = (
        "SELECT * EXCEPT deed, deed.1 AS action, deed.2 AS item FROM "
        f"(SELECT *, arrayJoin(arrayFilter(d -> d.1 != '', [{deeds}]::Array(Tuple(String, String)))) AS deed "
        f"FROM activity WHERE {_any([meaning for _, meaning in done])})"
    )
    return View("content_actions", "what was done to content: view, complete, like, comment, share, create", sql)


def _content_made(plan: Plan) -> View:
    sql = (
        "SELECT item, anyIf(title, title != '') AS title, argMinIf(maker, at, maker != '') AS creator, "
        f"min(at) AS published, toDate(published, {quoted(plan.timezone)}) AS published_day FROM ("
        "SELECT item, '' AS title, person AS maker, ts AS at FROM content_actions "
        "WHERE action = 'create' AND item != '' UNION ALL "
        "SELECT i.item, i.title, if(o.person = '', i.creator, o.person), i.published FROM content_items AS i "
        "LEFT ANY JOIN owners AS o ON o.id = i.creator) GROUP BY item"
    )
    return View(
        "content_made", "pieces of content: imported, or as the event that made them says; one row a piece", sql
    )


def _thresholds(plan: Plan) -> View:
    limits = plan.meanings.thresholds
    days = {name: getattr(limits, name) // DAY for name in ("new", "at_risk", "dormant")}
    columns = [f"toUInt32({value}) AS {name}_days" for name, value in days.items()]
    columns.append(f"toUInt64({limits.session_gap}) AS session_gap_ms")
    columns.append(f"toDecimal64({quoted(str(limits.high_value))}, 6) AS high_value")
    columns.append(f"{quoted(plan.timezone)} AS timezone")
    return View("thresholds", "the plan's thresholds and time zone, one row", f"SELECT {', '.join(columns)}")


def _by_dimension() -> View:
    # Nested `if`s of constants are folded, so that only the column asked for is read.
    expression = (
        "if(startsWith({dimension:String}, 'properties.'), "
        "if(JSONType(properties, substring({dimension:String}, 12)) = 'String', "
        "JSONExtractString(properties, substring({dimension:String}, 12)), "
        "JSONExtractRaw(properties, substring({dimension:String}, 12))), "
        "toString(throwIf(1, 'dimension: a field of the envelope, properties.NAME, or empty')))"
    )
    for field in ("event", *CONTEXT_FIELDS):
        expression = f"if({{dimension:String}} = '{field}', toString({field}), {expression})"
    expression = f"if({{dimension:String}} = '', '', {expression})"
    return View(
        "activity_by",
        "activity with the column by: the value of the dimension given (a field, properties.NAME, or empty)",
        f"SELECT *, {expression} AS by FROM activity",
    )


def _written() -> list[View]:
    """The facts that are files: a comment of one line, then the SELECT."""
    found = []
    folder = files("sql") / "facts"
    for entry in sorted(folder.iterdir(), key=lambda e: e.name):
        if entry.name.endswith(".sql"):
            comment, _, sql = entry.read_text("utf-8").partition("\n")
            name = entry.name.removesuffix(".sql").partition("_")[2]
            found.append(View(name, comment.removeprefix("--").strip(), sql.strip()))
    return found
