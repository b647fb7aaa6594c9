"""The people behind a number of an answer: how many, and who they are."""

from __future__ import annotations

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
    """The persons, the latest seen first, with the columns `COLUMNS` and `all_of_them`, how many there are."""
    values = Values()
    behind = persons_of(question, cell, plan, values)
    device = len(DEVICE) + 1
    filters = settings_of(question, plan) if isinstance(question, Paths | OfMetric) else ""
    return values.sql(f"""\
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
    count() OVER () AS all_of_them
FROM events
WHERE person IN (
{behind}
)
GROUP BY person
ORDER BY last_seen DESC, person
LIMIT {most}
{SETTINGS}{filters}""")


def persons_of(question: WithPeople, cell: Cell, plan: Plan, values: Values) -> str:
    """A sub-query of the persons behind a cell."""
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
