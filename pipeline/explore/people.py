"""The people behind a number of an answer: how many, and who they are."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from pipeline.explore.distribution import distribution_people
from pipeline.explore.funnel import funnel_people
from pipeline.explore.lifecycle import lifecycle_people
from pipeline.explore.metric_people import metric_people
from pipeline.explore.paths import paths_people, settings_of
from pipeline.explore.question import (
    BuiltFunnel,
    Cell,
    Distribution,
    Lifecycle,
    OfMetric,
    Paths,
    Retention,
    Trend,
    WithPeople,
)
from pipeline.explore.retention import retention_people
from pipeline.explore.sql import SETTINGS, Sql, Values
from pipeline.explore.trend import trend_people
from schemas.event import DEVICE
from schemas.plan import Plan

#: People of a list in a page, and of a file.
LISTED, IN_FILE = 200, 50_000
COLUMNS: Final = ("user_id", "device", "first_seen", "last_seen", "platform", "channel", "events", "revenue", "person")


def people_sql(question: WithPeople, cell: Cell, plan: Plan, most: int = LISTED) -> Sql:
    """The persons, the latest seen first, with the columns `COLUMNS` and `all_of_them`, how many there are.

    Of more than `most` those are taken that were seen last, of those seen in the last week of the question's days under
    the id that names them, and then others by name: to look up when everybody was seen last, as a user and on each of
    their devices, would take longer than all the rest.
    """
    values = Values()
    return values.sql(f"""\
{_about("any(found)")}
FROM events INNER JOIN
(
{_listed(question, cell, plan, values, most)}
) AS listed USING (person)
GROUP BY person
ORDER BY last_seen DESC, person
{_settings(question, plan)}""")


def listed_sql(question: WithPeople, cell: Cell, plan: Plan) -> Sql:
    """Who is in the list, `person`, and `found`, how many there are: the first half of `people_sql`, known sooner."""
    values = Values()
    return values.sql(f"{_listed(question, cell, plan, values, LISTED)}\n{_settings(question, plan)}")


def details_sql(question: WithPeople, plan: Plan, listed: Sequence[str], found: int) -> Sql:
    """The second half: the same rows as `people_sql` of those who are listed, of so many as were `found`."""
    values = Values()
    return values.sql(f"""\
{_about(str(int(found)))}
FROM events
WHERE person IN {values.texts(listed)}
GROUP BY person
ORDER BY last_seen DESC, person
{_settings(question, plan)}""")


def _settings(question: WithPeople, plan: Plan) -> str:
    return SETTINGS + (settings_of(question, plan) if isinstance(question, Paths | OfMetric) else "")


def _listed(question: WithPeople, cell: Cell, plan: Plan, values: Values, most: int) -> str:
    behind = persons_of(question, cell, plan, values)
    week = values.day(question.scope.last - timedelta(days=6))
    return f"""\
SELECT behind.person AS person, count() OVER () AS found
FROM
(
{behind}
) AS behind
LEFT JOIN
(
    SELECT counted_as, max(ts) AS seen FROM events_raw WHERE toDate(ts) >= {week} GROUP BY counted_as
) AS recent ON recent.counted_as = behind.person
ORDER BY seen DESC, person
LIMIT {most}"""


def _about(found: str) -> str:
    device = len(DEVICE) + 1
    return f"""\
SELECT
    if(startsWith(person, '{DEVICE}'), '', person) AS user_id,
    if(user_id = '', substring(person, {device}), argMaxIf(anonymous_id, ts, anonymous_id != '')) AS device,
    min(ts) AS first_seen,
    max(ts) AS last_seen,
    argMaxIf(platform, ts, platform != '') AS platform,
    argMinIf(channel, ts, channel != '') AS channel,
    count() AS events,
    sum(value) AS revenue,
    person,
    {found} AS all_of_them"""


def persons_of(question: WithPeople, cell: Cell, plan: Plan, values: Values) -> str:
    """A sub-query of the persons behind a cell, each once."""
    match question:
        case Trend():
            return trend_people(question, cell, plan, values)
        case BuiltFunnel():
            return funnel_people(question, cell, plan, values)
        case Retention():
            return retention_people(question, cell, plan, values)
        case Distribution():
            return distribution_people(question, cell, plan, values)
        case Lifecycle():
            return lifecycle_people(question, cell, plan, values)
        case Paths():
            return paths_people(question, cell, plan, values)
        case OfMetric():
            return metric_people(question, cell, plan, values)
