"""Whose an event is, in SQL, by the links of one stream: what the view `events` says of all streams together.

An id is what an event counts as where it is stored (`counted_as`): the user that it was sent on to if its actor was
linked by then, else its user or `$device:` and its device. It belongs to the first user that was linked to it, who may
belong to another one: at most four links are followed, as live.
"""

from __future__ import annotations

from pipeline.ingest.links import MAX_HOPS

#: What an event counts as where it is stored.
ID = "counted_as"


def owners(links: str, handovers: str, hops: int = MAX_HOPS) -> str:
    """A sub-query of whose each linked id is.

    Its columns: `linked_id`, `owned_by`, `is_shared`, `shared_from` (an offset), `linked_at`.
    `links` and `handovers` are what follows FROM for the rows of links_raw and handovers_raw. So many `hops` are
    followed: one is all there is without aliases. `linked_at` (epoch ms) is the later one of the watermarks at which
    the id's link was known where the id is counted, and where its person is.
    """
    owned = f"""\
    SELECT id, argMinIf(person, offset, outcome = 'linked') AS owner_1,
        minIf(offset, outcome = 'shared') AS shared_from, countIf(outcome = 'shared') > 0 AS is_shared,
        minIf(watermark, outcome = 'linked') AS known
    FROM {links} GROUP BY id"""
    onward = "\n".join(
        f"LEFT ANY JOIN (SELECT id AS id_{n}, owner_1 AS owner_{n} FROM ({owned}) WHERE NOT is_shared) AS o{n} "
        f"ON o{n}.id_{n} = o{n - 1}.{'owner_1' if n == 2 else f'owner_{n - 1}'}"
        for n in range(2, hops + 1)
    )
    found = ", ".join(f"owner_{n} != '', owner_{n}" for n in range(hops, 0, -1))
    return f"""(
SELECT o1.id AS linked_id, multiIf({found}, '') AS owned_by, shared_from, is_shared,
    greatest(known, ifNull(h.handed, 0)) AS linked_at
FROM ({owned}) AS o1
{onward}
LEFT ANY JOIN (SELECT id AS handed_id, max(watermark) AS handed FROM {handovers} GROUP BY id) AS h ON h.handed_id =
o1.id)"""


def with_person(rows: str, owned: str) -> str:
    """A sub-query: the `rows` with the columns `person` and `linked_at`; both arguments are what follows FROM.

    `owned` are rows as `owners` gives them. `linked_at` is 0 without a link, or for an id that is shared by then. A
    window that was closed at that time doesn't know of the link.
    """
    return f"""(
SELECT e.*, l.owned_by != '' AND NOT (l.is_shared AND e.offset >= l.shared_from) AS is_linked,
    if(is_linked, l.owned_by, {ID}) AS person, if(is_linked, l.linked_at, 0) AS linked_at
FROM (SELECT * FROM {rows}) AS e
LEFT ANY JOIN {owned} AS l ON l.linked_id = {ID})"""
