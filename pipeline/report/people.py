"""How many people a report counts: who was there, who came new, and who on each day.

Looking through everybody's events and grouping them by person is what costs. So each question is one look, what a person
did is a handful of numbers without texts, and people of whom the same is told are counted together before it is told
apart. Only builds text.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Final

from pipeline.queries.conditions import moments_sql, quoted

#: Begin and end (epoch ms).
Span = tuple[int, int]

#: What people are parted by.
DIMENSIONS: Final = ("platform", "channel", "app_version", "country")
#: A number of spans and of days that is beyond all there are: each has its bit of one number.
_SPANS, _DAYS = 4, 60
#: More than the values of a dimension that are told apart, the most frequent ones: the places of all four in their lists,
#: and a span, are one number.
_PLACES: Final = 1 << 15

_TOTALS: Final = """
SELECT told.1 AS kind, told.2 AS at, sum(n) AS people
FROM
(
    SELECT arrayJoin(arrayConcat(
        arrayMap(s -> ('there', s), arrayFilter(s -> bitTest(bits, {days} + s), range(1, {spans}))),
        if(new > 0, [('new', toUInt64(new))], []),
        arrayMap(d -> ('daily', d), arrayFilter(d -> bitTest(bits, d), range(1, {days}))))) AS told, n
    FROM
    (
        SELECT bits, {new} AS new, count() AS n
        FROM
        (
            SELECT min(ts) AS first_seen,
                groupBitOr(bitOr(bitShiftLeft(toUInt64(1), {days} + {span}), bitShiftLeft(toUInt64(1), {nth}))) AS bits
            FROM activity
            GROUP BY person
        )
        GROUP BY bits, new
    )
)
GROUP BY kind, at"""

_PARTED: Final = """
WITH
    [{lists}] AS lists,
    arrayMap(l -> toUInt64(length(l) + 1), lists) AS sizes
SELECT
    told.1 AS kind,
    told.2 AS at,
    told.3 AS part,
    ['', {names}][part + 1] AS dimension,
    multiIf({values}, '') AS value,
    sum(n) AS people
FROM
(
    SELECT arrayJoin(arrayConcat(
        arrayDistinct(arrayFlatten(arrayMap(c -> arrayMap(p ->
            ('there', toUInt64(intDiv(c, {above})), p, [toUInt64(0), {places}][p + 1]), range(toUInt64({parts}))), codes))),
        if(new = 0, [], arrayMap(p -> ('new', toUInt64(new), p, arrayPushFront(firsts, 0)[p + 1]), range(toUInt64({parts})))))) AS told, n
    FROM
    (
        SELECT arraySort(found) AS codes, {new} AS new, if(new = 0, [], [{firsts}]) AS firsts, count() AS n
        FROM
        (
            SELECT min(ts) AS first_seen, {leasts}, groupUniqArrayIf(code, span > 0) AS found
            FROM (SELECT person, ts, {indices}, {span} AS span, {code} AS code FROM activity)
            GROUP BY person
        )
        GROUP BY codes, new, firsts
    )
)
GROUP BY kind, at, part, told.4"""


def people_sql(spans: Sequence[Span], first: date, last: date) -> str:
    """The query: columns kind, at, and how many people.

    Kind `there`: people of the span number `at` from 1 on, of up to three; `new`: people whose first event ever was in
    it; `daily`: people of the day number `at` from 1 on, of those from `first` to `last`.
    """
    assert (last - first).days + 1 < _DAYS
    return _TOTALS.format(
        days=_DAYS,
        spans=_SPANS,
        span=_span(spans),
        new=_new(spans),
        nth=f"if(day BETWEEN toDate('{first}') AND toDate('{last}'), day - toDate('{first}') + 1, 0)",
    )


def parted_people_sql(spans: Sequence[Span]) -> str:
    """The query: columns kind, at, part, dimension ("" for all), value, and how many people.

    Kinds as in `people_sql`: `there` by the value of each event of the span; `new` by the first value that they had.
    """
    fields = range(1, len(DIMENSIONS) + 1)
    code = "toUInt64(span)"
    for k in fields:
        code = f"({code} * sizes[{k}] + i{k})"
    # From the right: what is left of a code when the fields behind one are gone.
    left = {k: " * ".join(["toUInt64(1)", *(f"sizes[{j}]" for j in fields if j > k)]) for k in (0, *fields)}
    begin = f"fromUnixTimestamp64Milli({min(one[0] for one in spans)})"
    # Of somebody who was new in a span there is nothing before.
    values = (
        "(SELECT groupArray(toString(v)) FROM (SELECT {0} AS v FROM events_raw WHERE v != '' AND {1} "
        "GROUP BY v ORDER BY count() DESC, v LIMIT {2}))"
    )
    since = f"ts >= {begin} AND toDate(ts) >= toDate({begin})"
    return _PARTED.format(
        lists=", ".join(values.format(name, since, _PLACES - 1) for name in DIMENSIONS),
        names=", ".join(map(quoted, DIMENSIONS)),
        # Each list by itself: of a list that is chosen row by row there would be a copy for each row.
        values=", ".join(f"part = {k}, lists[{k}][told.4]" for k in fields),
        above=left[0],
        places=", ".join(f"toUInt64(intDiv(c, {left[k]}) % sizes[{k}])" for k in fields),
        parts=len(DIMENSIONS) + 1,
        new=_new(spans),
        # The place of the first value: the least of numbers that are its time and its place.
        leasts=", ".join(f"minIf(toUnixTimestamp64Milli(ts) * {_PLACES} + i{k}, i{k} > 0) AS least{k}" for k in fields),
        firsts=", ".join(f"toUInt64(positiveModulo(least{k}, {_PLACES}))" for k in fields),
        indices=", ".join(
            f"toUInt64(transform({name}, lists[{k}], arrayEnumerate(lists[{k}]), 0)) AS i{k}"
            for k, name in enumerate(DIMENSIONS, 1)
        ),
        span=_span(spans),
        code=code,
    )  # fmt: skip


def _span(spans: Sequence[Span]) -> str:
    """The number of the span that an event is in, 0 for none."""
    assert len(spans) < _SPANS
    cases = ", ".join(f"{moments_sql(*map(str, one))}, {n}" for n, one in enumerate(spans, 1))
    return f"multiIf({cases}, 0)"


def _new(spans: Sequence[Span]) -> str:
    """The number of the span in which somebody's first event was."""
    bounds = [[f"fromUnixTimestamp64Milli({moment})" for moment in one] for one in spans]
    cases = ", ".join(f"first_seen >= {begin} AND first_seen < {end}, {n}" for n, (begin, end) in enumerate(bounds, 1))
    return f"multiIf({cases}, 0)"
