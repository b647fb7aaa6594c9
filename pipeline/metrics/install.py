"""Installing the catalogue: fact views from the plan, then one view a metric. Only what changed is made anew.

A view's comment ends in a hash of its text: that says whether it is the one to have, and that it is ours. A view of
ours that is no longer in the catalogue is dropped.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any, Final

from pipeline.metrics.facts import View, facts, owners
from pipeline.metrics.installed import installed_view
from pipeline.metrics.registry import metrics
from pipeline.queries.conditions import quoted
from pipeline.settings import Settings
from schemas.plan import Plan

_MARK: Final = re.compile(r"\[catalogue ([0-9a-f]{16})\]$")


def views(plan: Plan, database: str, *, aliases: bool = False) -> list[tuple[str, str, str]]:
    """Name, comment and statement of every view of the catalogue, in the order in which they can be made.

    `aliases` says that some are stored already: the plan may have none any more.
    """
    wanted = [*facts(plan)]
    wanted += [View(metric.name, f"{metric.group}: {metric.title}", metric.sql) for metric in metrics().values()]
    # It has the same columns either way: what reads it stays.
    found = [_statement(owners(aliases=aliases or plan.aliases))]
    chain = ""
    for view in wanted:
        made = View(view.name, view.comment, view.sql.replace("{database}", database))
        # A view that selects `*` from another has the columns of the time at which it was made: when a fact
        # changes, so does the hash of everything after it.
        digest = _digest(made, f"{chain}\0")
        chain = digest if view.name not in metrics() else chain
        found.append(_statement(made, digest))
    # The last: while the others are being made it still names the plan before.
    found.append(_statement(installed_view(plan)))
    return found


def _digest(view: View, before: str = "") -> str:
    return hashlib.blake2b(f"{before}{view.name}\0{view.sql}".encode(), digest_size=8).hexdigest()


def _statement(view: View, digest: str = "") -> tuple[str, str, str]:
    comment = f"{view.comment} [catalogue {digest or _digest(view)}]"
    return view.name, comment, f"CREATE OR REPLACE VIEW {view.name} COMMENT {quoted(comment)} AS {view.sql}"


async def install(settings: Settings, plan: Plan) -> list[str]:
    """Bring the views of the catalogue to the current files and plan; returns the names of those made or dropped.

    To be run after the migrations. Safe to run twice, and by two at once.
    """
    from pipeline.clickhouse.client import connect  # loaded by whoever installs, not by whoever lists metrics

    client = await connect(settings)
    try:
        return await _install(client, plan, settings.clickhouse_database)
    finally:
        await client.close()


async def _install(client: Any, plan: Plan, database: str) -> list[str]:
    rows = await client.query(
        "SELECT name, comment FROM system.tables WHERE database = {database:String} AND engine = 'View'",
        parameters={"database": database},
    )
    there = dict(rows.result_rows)
    changed = []
    aliases = await client.query("SELECT count() > 0 FROM links_raw WHERE kind = 'alias'")
    wanted = views(plan, database, aliases=bool(aliases.result_rows[0][0]))
    for name, comment, statement in wanted:
        if there.get(name) != comment:
            await client.command(statement)
            changed.append(name)
    names = {name for name, _, _ in wanted}
    for name, comment in there.items():
        if name not in names and _MARK.search(comment):
            await client.command(f"DROP VIEW IF EXISTS {name}")
            changed.append(name)
    return changed
