"""One person in SQL: who an id leads to, which ids are theirs, and their events without looking through everybody's.

The view `events` says of every row whose it is, by a join with all links: right for questions about many, slow for one
about a few rows. Here the ids of the person are found first, then their rows by those ids, with the rule of that view:
a shared id's rows are its owner's up to the record from which on it is nobody's, and the id's own from there.

Only builds text; all that a stranger may have sent is bound as a parameter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from pipeline.metrics.facts import money_sql
from pipeline.queries.conditions import quoted
from pipeline.queries.funnel import FunnelQuery, bucket_templates, funnel_sql
from pipeline.queries.plan_funnels import funnel_query
from schemas.event import CONTEXT_FIELDS, DEVICE
from schemas.plan import Funnel, Plan

#: Columns of metrics that hold a person, and metrics that are about a single one.
PERSON_COLUMNS: Final = frozenset({"actor", "person", "inviter", "creator"})
ABOUT_ONE: Final = frozenset({"user_profile"})
#: Longer ids than this no event has.
MAX_ID: Final = 1_000
#: Ids of one person that are looked at.
_MOST_IDS: Final = 1_000

#: Who has this id: an old user id leads to its user; then a user id; then a device, to its user or to itself.
FIND: Final = f"""\
SELECT argMin(found, place) AS person, count() > 0 AS is_known FROM
(
    SELECT person AS found, if(id = {{id:String}}, 0, 2) AS place FROM owners
    WHERE id IN ({{id:String}}, concat('{DEVICE}', {{id:String}})) AND NOT (id = {{id:String}} AND is_shared)
    UNION ALL
    SELECT * FROM (SELECT counted_as, if(counted_as = {{id:String}}, 1, 3) FROM events_raw
        WHERE counted_as IN ({{id:String}}, concat('{DEVICE}', {{id:String}})) LIMIT 1 BY counted_as LIMIT 2)
    UNION ALL
    SELECT * FROM (SELECT person, 1 FROM links_raw WHERE person = {{id:String}} AND outcome = 'linked' LIMIT 1)
)"""
#: Ids that begin so, for whoever knows an id only in part.
SIMILAR: Final = f"""\
SELECT DISTINCT substring(counted_as, if(startsWith(counted_as, '{DEVICE}'), {len(DEVICE) + 1}, 1)) AS id
FROM events_raw
WHERE startsWith(counted_as, {{id:String}}) OR startsWith(counted_as, concat('{DEVICE}', {{id:String}}))
LIMIT 10"""
#: The person's ids (devices with `$device:`), whether it is an id that is another's besides, and from which record on
#: ids of theirs are shared.
IDS: Final = f"""\
WITH owned AS (SELECT id FROM owners WHERE person = {{person:String}} LIMIT {_MOST_IDS})
SELECT
    (SELECT groupArray(id) FROM owned) AS owned_ids,
    (SELECT count() FROM owners WHERE id = {{person:String}} AND person != {{person:String}}) > 0 AS is_anothers,
    groupArray(concat(toString(stream), '\\0', id)) AS shared,
    groupArray(offset) AS shared_from
FROM links_raw
WHERE outcome = 'shared' AND (id IN owned OR id = {{person:String}})"""
#: How the ids came to be theirs, and what the person claimed in vain.
LINKS: Final = """\
SELECT id, toString(kind) AS kind, toString(outcome) AS outcome, min(toUnixTimestamp64Milli(ts)) AS since FROM links_raw
WHERE person = {person:String} OR id IN {owned:Array(String)}
GROUP BY id, kind, outcome ORDER BY since, id LIMIT 100"""
ATTRIBUTES: Final = """\
SELECT name, value, actor FROM user_attributes WHERE actor IN {ids:Array(String)} ORDER BY name, actor LIMIT 500"""

_FIELDS: Final = (
    "stream", "partition", "offset", "event", "event_id", "actor", "user_id", "anonymous_id", "session_id", "ts",
    *CONTEXT_FIELDS, "value", "properties", "late",
)  # fmt: skip
_MINE: Final = """\
counted_as IN {ids:Array(String)}
    AND (toDate(ts), event, actor) IN
        (SELECT toDate(ts), event, actor FROM events_raw WHERE counted_as IN {ids:Array(String)})
    AND if(has({owned:Array(String)}, counted_as), offset < turn, {is_anothers:UInt8} = 0 OR offset >= turn)"""


@dataclass(frozen=True)
class PersonIds:
    """Which ids are the person's."""

    person: str
    owned: tuple[str, ...] = ()
    is_anothers: bool = False
    shared: tuple[str, ...] = ()
    shared_from: tuple[int, ...] = ()

    @property
    def all(self) -> list[str]:
        """All ids under which the person's events may be stored."""
        return list(dict.fromkeys([*self.owned, self.person]))

    def parameters(self) -> dict[str, Any]:
        """What every query here is bound with."""
        return {
            "person": self.person, "ids": self.all, "owned": list(self.owned), "is_anothers": int(self.is_anothers),
            "shared": list(self.shared), "shared_from": list(self.shared_from),
        }  # fmt: skip


def ids_of(person: str, rows: Sequence[Sequence[Any]]) -> PersonIds:
    """The answer to IDS."""
    owned, is_anothers, shared, shared_from = rows[0]
    return PersonIds(person, tuple(owned), bool(is_anothers), tuple(shared), tuple(map(int, shared_from)))


def events_sql(plan: Plan) -> str:
    """What follows FROM: the person's events, late ones too, with the columns of the fact `activity`."""
    zone = quoted(plan.timezone)
    turn = (
        "transform(concat(toString(stream), '\\0', counted_as), {shared:Array(String)}, {shared_from:Array(UInt64)}, "
        "toUInt64(18446744073709551615))"
    )
    return (
        f"(SELECT {', '.join(_FIELDS)}, counted_as, {{person:String}} AS person, toDate(ts, {zone}) AS day, "
        f"toDateTime(ts, {zone}) AS local_time, {turn} AS turn FROM events_raw FINAL WHERE {_MINE})"
    )


def summary_sql(plan: Plan) -> str:
    """One row an id and one of all (id ''): events, sessions and days, first and last (epoch ms), the last context."""
    last = ", ".join(f"argMaxIf(toString({field}), ts, {field} != '') AS last_{field}" for field in CONTEXT_FIELDS)
    return (
        "SELECT counted_as AS id, count() AS events, uniqExactIf(session_id, session_id != '') AS sessions, "
        "uniqExact(day) AS days, toUnixTimestamp64Milli(min(ts)) AS first, toUnixTimestamp64Milli(max(ts)) AS last, "
        f"{last} FROM {events_sql(plan)} GROUP BY GROUPING SETS ((counted_as), ()) ORDER BY last DESC, id"
    )


def value_sql(plan: Plan) -> str:
    """One row: orders, what was paid and given back, and when (epoch ms); NULL times without a payment."""
    return (
        "SELECT uniqExactIf(order_id, kind = 'payment') AS orders, sumIf(amount, kind = 'payment') AS paid, "
        "sumIf(amount, kind = 'refund') AS refunded, "
        "toUnixTimestamp64Milli(minOrNullIf(ts, kind = 'payment')) AS first, "
        "toUnixTimestamp64Milli(maxOrNullIf(ts, kind = 'payment')) AS last "
        f"FROM ({money_sql(plan, events_sql(plan))})"
    )


def timeline_sql(plan: Plan, most_bytes: int) -> str:
    """The person's events, the newest first, from the `skip`th on; properties that are longer are cut off."""
    return (
        "SELECT toUnixTimestamp64Milli(ts) AS at, event, session_id, counted_as, late, toFloat64(value) AS worth, "
        f"{', '.join(f'toString({field})' for field in CONTEXT_FIELDS)}, length(properties) > {most_bytes} AS is_cut, "
        f"substring(properties, 1, {most_bytes}) AS properties_text FROM {events_sql(plan)} AS e "
        "ORDER BY e.ts DESC, stream DESC, partition, offset DESC LIMIT {most:UInt32} OFFSET {skip:UInt32}"
    )


def export_sql(plan: Plan) -> str:
    """The person's events as they are stored, the oldest first."""
    return (
        f"SELECT {', '.join(_FIELDS)} FROM {events_sql(plan)} AS e "
        "ORDER BY e.ts, stream, partition, offset LIMIT {most:UInt32}"
    )


def progress_sql(plan: Plan, funnel: Funnel) -> str:
    """How far the person got in a funnel, by the day on which it was begun: rows of `pipeline.queries.funnel`."""
    names = ", ".join(sorted({quoted(step.event) for step in (*funnel.steps, *funnel.exclude)}))
    some = "1" if "strict_order" in funnel.modes else f"event IN ({names})"
    fields = ", ".join(("person", "session_id", "event", *CONTEXT_FIELDS, "properties"))
    source = (
        f"(SELECT {fields}, toUnixTimestamp64Milli(e.ts) AS ts FROM {events_sql(plan)} AS e WHERE NOT late AND {some})"
    )
    start, end = bucket_templates("day", plan.timezone)
    query: FunnelQuery = replace(funnel_query(plan, funnel, "", source), bucket_start=start, bucket_end=end)
    return funnel_sql(query)
