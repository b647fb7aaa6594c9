"""How many people a report counts, in one look through the events: who was there, who came new, and who on each day.

Looking through everybody's events and grouping them by person is what costs; so all that is counted of people is counted
together. What a person did is a handful of numbers then, without texts: a span, a day, and the places of the values of
the dimensions in lists of them. Only builds text.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Final

from pipeline.queries.conditions import moments_sql, quoted

#: What people are parted by.
DIMENSIONS: Final = ("platform", "channel", "app_version", "country")
#: A number of spans and of days that is beyond all there are, and one of all kinds and dimensions.
_SPANS, _DAYS, _PARTS = 4, 64, 8
#: Places of values in a list; the product of what the lists have must leave room for span and day.
_PLACES: Final = 1 << 32

_SQL: Final = """
WITH
    (SELECT [{lists}] FROM events_raw) AS lists,
    arrayMap(l -> toUInt128(length(l) + 1), lists) AS sizes
SELECT
    ['there', 'new', 'daily'][intDiv(what, {at_end}) + 1] AS kind,
    intDiv(what % {at_end}, {part_end}) AS at,
    intDiv(what % {part_end}, {places}) AS part,
    ['', {names}][part + 1] AS dimension,
    multiIf({values}, '') AS value,
    count() AS n
FROM
(
    SELECT arrayJoin(arrayConcat(
        arrayDistinct(arrayFlatten(arrayMap(c -> arrayMap(p -> {there}, range(toUInt64({parts}))), arrayFilter(c -> {span} > 0, codes)))),
        arrayFlatten(arrayMap(s -> arrayMap(p -> {new}, range(toUInt64({parts}))),
            arrayFilter(s -> first_day BETWEEN s.2 AND s.3 AND first_seen < fromUnixTimestamp64Milli(s.4), [{spans}]))),
        arrayMap(d -> {daily}, arrayFilter(d -> d > 0, arrayDistinct(arrayMap(c -> {day}, codes)))))) AS what
    FROM
    (
        SELECT
            min(ts) AS first_seen,
            min(day) AS first_day,
            [{firsts}] AS firsts,
            groupUniqArrayIf(code, span > 0 OR nth > 0) AS codes
        FROM
        (
            SELECT person, ts, day, {indices}, {span_of} AS span,
                if(day BETWEEN toDate('{first}') AND toDate('{last}'), toUInt64(day - toDate('{first}') + 1), 0) AS nth,
                {code} AS code
            FROM activity
        )
        GROUP BY person
    )
)
GROUP BY what"""


def people_sql(spans: Sequence[tuple[date, date, int, int]], first: date, last: date) -> str:
    """The query: columns kind, at, part, dimension ("" for all), value, and how many people.

    `spans` are up to three: first and last day, begin and end (epoch ms). Kind `there`: people of the span number `at`
    from 1 on, by the value of each event; `new`: people whose first event ever was in it, by the first value that they
    had; `daily`: people of the day number `at` from 1 on, of those from `first` to `last`.
    """
    assert len(spans) < _SPANS
    assert (last - first).days + 1 < _DAYS
    fields = range(1, len(DIMENSIONS) + 1)
    code = f"(span * {_DAYS} + nth)"
    for k in fields:
        code = f"({code} * sizes[{k}] + i{k})"
    # From the right: what is left of a code when the fields behind one are gone.
    left = {k: " * ".join(["toUInt128(1)", *(f"sizes[{j}]" for j in fields if j > k)]) for k in (0, *fields)}
    places = ", ".join(f"toUInt64(intDiv(c, {left[k]}) % sizes[{k}])" for k in fields)
    return _SQL.format(
        lists=", ".join(f"arrayFilter(v -> v != '', groupUniqArray(toString({name})))" for name in DIMENSIONS),
        names=", ".join(map(quoted, DIMENSIONS)),
        places=_PLACES,
        parts=len(DIMENSIONS) + 1,
        # Each list by itself: of a list that is chosen row by row there would be a copy for each row.
        values=", ".join(f"part = {k}, lists[{k}][what % {_PLACES}]" for k in fields),
        part_end=_PARTS * _PLACES,
        at_end=_DAYS * _PARTS * _PLACES,
        there=_what(0, f"[toUInt64(0), {places}][p + 1]", f"toUInt64(intDiv(c, {left[0]} * {_DAYS}))"),
        new=_what(1, "[toUInt64(0), firsts[1], firsts[2], firsts[3], firsts[4]][p + 1]", "s.1"),
        daily=f"(toUInt64({2 * _DAYS}) + d) * {_PARTS * _PLACES}",
        span=f"intDiv(c, {left[0]} * {_DAYS})",
        day=f"toUInt64(intDiv(c, {left[0]}) % {_DAYS})",
        spans=", ".join(
            f"({n}::UInt64, toDate('{one[0]}'), toDate('{one[1]}'), {one[3]}::Int64)" for n, one in enumerate(spans, 1)
        ),
        firsts=", ".join(f"argMinIf(i{k}, ts, i{k} > 0)" for k in fields),
        indices=", ".join(
            f"toUInt64(transform({name}, lists[{k}], arrayEnumerate(lists[{k}]), 0)) AS i{k}"
            for k, name in enumerate(DIMENSIONS, 1)
        ),
        span_of="toUInt64(multiIf({}, 0))".format(
            ", ".join(f"{moments_sql(str(one[2]), str(one[3]))}, {n}" for n, one in enumerate(spans, 1))
        ),
        first=first,
        last=last,
        code=code,
    )


def _what(kind: int, place: str, at: str) -> str:
    """One number of a kind, a span, the part `p` and the place of its value."""
    return f"((toUInt64({kind * _DAYS}) + {at}) * {_PARTS} + p) * {_PLACES} + {place}"
